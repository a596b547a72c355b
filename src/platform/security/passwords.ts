import { availableParallelism } from 'node:os'
import { type Options, parseOptions } from '@node-rs/argon2'
import { makeLanes } from './hash-lanes.ts'
import { problemOfHash } from './older-hashes.ts'

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

/** As strong as those; of 32 random bytes that nobody kept. */
const NOBODYS = '$argon2id$v=19$m=19456,t=2,p=1$zE5HG0XajVdDtEuI60uuGA$tc84Bw48ZoxvfCQ1UPCXjR/fQT7LTLcpnkjkRRgDBUI'

/**
 * Hashes on half of the cores, on threads of less priority, and lets `maxWaiting` callers queue, so that a flood of logins
 * leaves the rest to the shop (without the bound a checkout took 27 times as long); beyond that it throws what `tooBusy`
 * makes.
 */
export function makePasswords(options: { tooBusy: () => Error; maxWaiting?: number }): Passwords {
  const inTurn = makeLanes(Math.max(1, availableParallelism() >> 1), options.maxWaiting ?? 200, options.tooBusy)
  const hashed = async (password: string) => (await inTurn({ password, make: STRENGTH })) as string
  return {
    hash: hashed,
    isRight: async (password, storedHash, decoyHash) => {
      const stored = readable(storedHash)
      const right = await inTurn({ password, against: stored ?? readable(decoyHash) ?? NOBODYS })
      return right === true && stored !== undefined
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

const readable = (storedHash: string | undefined): string | undefined =>
  storedHash !== undefined && problemOfHash(storedHash) === undefined ? storedHash : undefined
