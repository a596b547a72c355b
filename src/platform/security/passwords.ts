import { availableParallelism } from 'node:os'
import { hash, type Options, parseOptions } from '@node-rs/argon2'
import { type ReadHash, readHash } from './older-hashes.ts'

export type Passwords = {
  /** The argon2id hash to store. */
  hash(password: string): Promise<string>
  /**
   * Whether this is the password of that hash. Without a hash, or with one that nobody can read, it checks `decoyHash`
   * instead, or a hash as we make it, and says no: it takes as long.
   */
  isRight(password: string, storedHash: string | undefined, decoyHash?: string): Promise<boolean>
  /** Whether a stored hash is weaker than what we make today, so that the next login replaces it. */
  needsRehash(storedHash: string): boolean
}

/** What stands in the place of a hash where there is no password yet: none fits it, and a reset by mail replaces it. */
export const NO_PASSWORD = '!'

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
    isRight: async (password, storedHash, decoyHash) => {
      const stored = readable(storedHash)
      const against = stored ?? readable(decoyHash) ?? (readHash(await nobody) as ReadHash)
      const right = await inTurn(() => fits(against, password))
      return right && stored !== undefined
    },
    needsRehash: (storedHash) => {
      if (!storedHash.startsWith('$argon2id$')) return true
      const made = parseOptions(storedHash)
      return (
        made.memoryCost < STRENGTH.memoryCost ||
        made.timeCost < STRENGTH.timeCost ||
        made.parallelism < STRENGTH.parallelism
      )
    },
  }
}

function readable(storedHash: string | undefined): ReadHash | undefined {
  const read = storedHash === undefined ? undefined : readHash(storedHash)
  return read && 'isRight' in read ? read : undefined
}

/** In our form; where it differs also as given, which is what other systems have hashed. */
async function fits(against: ReadHash, password: string): Promise<boolean> {
  const inForm = stable(password)
  return (await against.isRight(inForm)) || (inForm !== password && (await against.isRight(password)))
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
