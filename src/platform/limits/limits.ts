import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { Clock } from '#kernel/clock.ts'
import type { Redis } from '#platform/cache/redis.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import { countHere, type Window } from './here.ts'

/** So many points in a window that begins with the first of them. */
export type Limit = { readonly points: number; readonly seconds: number }

export type Taken = {
  readonly allowed: boolean
  /** Points that are left in this window. */
  readonly remaining: number
  /** Whole seconds until the window ends and all points are there again; at least 1. */
  readonly retryAfterSeconds: number
}

/** One limit. A key is whatever is counted (an address, an e-mail, an id): only a keyed hash of it is stored. */
export type Limiter = {
  /** Takes points (1 unless told) whether or not enough are left: who goes on after a refusal stays refused. Never throws. */
  take(key: string, cost?: number): Promise<Taken>
  /** What taking one point would say, without taking it. */
  peek(key: string): Promise<Taken>
  /** Gives points back that turned out not to be used. */
  giveBack(key: string, cost?: number): Promise<void>
  /** Begins anew with all points: after a login that went well, say. */
  forget(key: string): Promise<void>
}

export type Limits = {
  /** False: every limiter allows everything. */
  readonly enabled: boolean
  /** Every limit of this process, by name. */
  readonly defined: ReadonlyMap<string, Limit>
  /** A limit by its name, which must be one of its own: all processes count together what has the same name. */
  define(name: string, limit: Limit): Limiter
}

export type LimitsOptions = {
  /** False makes every limiter allow everything. */
  readonly enabled: boolean
  readonly clock: Clock
  readonly encryption: Encryption
  /** Where all processes count together; without one, and while it is away, each counts for itself. */
  readonly redis: Redis | undefined
}

const NO_LIMIT: Limiter = {
  take: async () => ({ allowed: true, remaining: Number.MAX_SAFE_INTEGER, retryAfterSeconds: 1 }),
  peek: async () => ({ allowed: true, remaining: Number.MAX_SAFE_INTEGER, retryAfterSeconds: 1 }),
  giveBack: async () => {},
  forget: async () => {},
}

/**
 * Makes the limits of one process. With Redis they are exact across processes. A Redis that fails never lets more through
 * than each process allows by itself, which goes on from what Redis said last; and it never makes a request fail.
 */
export function makeLimits(options: LimitsOptions): Limits {
  const defined = new Map<string, Limit>()
  return {
    enabled: options.enabled,
    defined,
    define: (name, limit) => {
      if (defined.has(name)) throw new Error(`There are two limits named ${name}.`)
      defined.set(name, limit)
      return options.enabled ? makeLimiter(name, limit, options) : NO_LIMIT
    },
  }
}

function makeLimiter(name: string, { points, seconds }: Limit, { clock, encryption, redis }: LimitsOptions): Limiter {
  const here = countHere(clock, seconds)
  const shared =
    redis &&
    new RateLimiterRedis({ storeClient: redis.client, keyPrefix: `stoa:limit:${name}`, points, duration: seconds })
  const stored = (key: string) => encryption.blindIndex(key, `limits.${name}`).toString('base64url')
  const now = () => clock().getTime()

  /** Runs on Redis and remembers its word; without it, in this process. */
  const count = async (key: string, inRedis: () => Promise<Counted | null>, alone: () => Window): Promise<Window> => {
    if (!redis) return alone()
    try {
      const counted = await redis.ask(inRedis)
      const { consumedPoints = 0, msBeforeNext = seconds * 1_000 } = counted ?? {}
      return here.put(key, { used: consumedPoints, endsAt: now() + msBeforeNext })
    } catch {
      return alone()
    }
  }
  const taken = ({ used, endsAt }: Window, allowed: boolean): Taken => ({
    allowed,
    remaining: Math.max(0, points - used),
    retryAfterSeconds: Math.max(1, Math.ceil((endsAt - now()) / 1_000)),
  })

  return {
    take: async (plain, cost = 1) => {
      const key = stored(plain)
      const window = await count(
        key,
        async () => shared?.penalty(key, cost) ?? null,
        () => here.add(key, cost),
      )
      return taken(window, window.used <= points)
    },
    peek: async (plain) => {
      const key = stored(plain)
      const window = await count(
        key,
        async () => shared?.get(key) ?? null,
        () => here.read(key),
      )
      return taken(window, window.used < points)
    },
    giveBack: async (plain, cost = 1) => {
      const key = stored(plain)
      await count(
        key,
        async () => shared?.reward(key, cost) ?? null,
        () => here.add(key, -cost),
      )
    },
    forget: async (plain) => {
      const key = stored(plain)
      here.forget(key)
      await redis?.ask(async () => shared?.delete(key)).catch(() => {})
    },
  }
}

type Counted = { readonly consumedPoints: number; readonly msBeforeNext: number }
