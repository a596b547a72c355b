import { availableParallelism } from 'node:os'
import { hash, type Options, parseOptions, verify } from '@node-rs/argon2'

export type Passwords = {
  /** The argon2id hash to store. */
  hash(password: string): Promise<string>
  /** Whether this is the password of that hash. Without a hash it takes as long, and says no. */
  isRight(password: string, storedHash: string | undefined): Promise<boolean>
  /** Whether a stored hash is weaker than what we make today, so that the next login replaces it. */
  needsRehash(storedHash: string): boolean
}

/** OWASP's second choice: 19 MiB, two passes, one lane. About 25 ms of one core. */
const STRENGTH = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const satisfies Options

/**
 * Hashes on half of the cores and lets `maxWaiting` callers queue, so that a flood of logins leaves the rest to the
 * shop; beyond that it throws what `tooBusy` makes.
 */
export function makePasswords(options: { tooBusy: () => Error; maxWaiting?: number }): Passwords {
  const inTurn = makeTurns(Math.max(1, availableParallelism() >> 1), options.maxWaiting ?? 200, options.tooBusy)
  const hashed = (password: string) => inTurn(() => hash(stable(password), STRENGTH))
  const nobody = hash('nobody has this password', STRENGTH)
  return {
    hash: hashed,
    isRight: async (password, storedHash) => {
      const against = storedHash ?? (await nobody)
      const right = await inTurn(() => verify(against, stable(password)))
      return right && storedHash !== undefined
    },
    needsRehash: (storedHash) => {
      const made = parseOptions(storedHash)
      return (
        !storedHash.startsWith('$argon2id$') ||
        made.memoryCost < STRENGTH.memoryCost ||
        made.timeCost < STRENGTH.timeCost ||
        made.parallelism < STRENGTH.parallelism
      )
    },
  }
}

/** One form for the same characters however a keyboard composes them (NIST 800-63B); nothing is trimmed or cut. */
const stable = (password: string) => password.normalize('NFKC')

function makeTurns(atOnce: number, maxWaiting: number, tooBusy: () => Error) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <Result>(task: () => Promise<Result>): Promise<Result> => {
    if (running < atOnce) running++
    else if (waiting.length >= maxWaiting) throw tooBusy()
    else await new Promise<void>((begin) => waiting.push(begin))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
