import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { Limit, Limiter, Limits, Taken } from '#platform/limits/limits.ts'
import { refuse } from '#platform/problems.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { buyerAddressOf, networkOf } from './address.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** In place of DEFAULT_LIMITS; an empty list is none. */
    limits?: readonly RouteLimit[]
  }
}

/**
 * What one route allows. Routes that give the same name share its points, and must give the same numbers.
 * `address`: each IPv4 address or IPv6 /64. `account`: each account; guests have none, and no such limit.
 * `caller`: each account or server key; guests by address.
 */
export type RouteLimit = Limit & { readonly name: string; readonly per: 'address' | 'account' | 'caller' }

/** What holds where a route's config says nothing. */
export const DEFAULT_LIMITS = {
  reads: [{ name: 'reads', per: 'caller', points: 1_200, seconds: 60 }],
  writes: [{ name: 'writes', per: 'caller', points: 600, seconds: 60 }],
} as const satisfies Record<string, readonly RouteLimit[]>

/** A server key that names no shopper acts for many: it has so many times the points. */
export const SERVER_TIMES = 10

const READS = new Set(['GET', 'HEAD'])

/** Public reads are cached here and by any proxy: counting them would cost more than they do. */
function limitsOf({ method, config }: RouteOptions): readonly RouteLimit[] {
  if (config?.limits) return config.limits
  if (method === 'OPTIONS') return []
  const isRead = [method].flat().every((one) => READS.has(one))
  if (!isRead) return DEFAULT_LIMITS.writes
  return config?.permission === 'public' ? [] : DEFAULT_LIMITS.reads
}

type Counted = RouteLimit & { readonly one: Limiter; readonly server: Limiter }

/**
 * Limits every route, after it is known who asks and that they may: 429 with Retry-After, and on every answer RateLimit
 * and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers). Refuses to boot with one name for different numbers.
 */
export function limitRoutes(app: FastifyInstance, { limits, log }: { limits: Limits; log: Log }): void {
  const known = new Map<string, Counted>()
  const counted = (limit: RouteLimit): Counted => {
    const { name, per, points, seconds } = limit
    const found = known.get(name)
    if (!found) {
      const one = limits.define(name, limit)
      const server = limits.define(`${name}-server`, { points: points * SERVER_TIMES, seconds })
      known.set(name, { ...limit, one, server })
    } else if (found.per !== per || found.points !== points || found.seconds !== seconds)
      throw new Error(`The limit ${name} has different numbers on different routes.`)
    return known.get(name)!
  }
  app.addHook('onRoute', (route) => {
    const own = limitsOf(route)
    route.config = { ...route.config, limits: own }
    const all = own.map(counted)
    if (all.length === 0 || !limits.enabled) return
    const policy = all.map(({ name, points, seconds }) => `"${name}";q=${points};w=${seconds}`).join(', ')
    const serverPolicy = all
      .map(({ name, points, seconds }) => `"${name}";q=${points * SERVER_TIMES};w=${seconds}`)
      .join(', ')
    route.onRequest = [
      ...[route.onRequest ?? []].flat(),
      async (request, reply) => {
        const asServer = isServer(request)
        const { refused, left } = await takeAll(all, request, asServer)
        reply.header('ratelimit-policy', asServer ? serverPolicy : policy).header('ratelimit', left)
        if (!refused) return
        const { kind, userId } = request.actor
        log.warn(
          { limit: refused.name, requestId: request.id, route: route.url, actor: kind, actorId: userId },
          'rate limited',
        )
        const { name: limit, retryAfterSeconds } = refused
        throw refuse('platform.rate-limited', undefined, { retryAfterSeconds, limit })
      },
    ]
  })
}

/** Takes a point of each limit in turn, up to the first that has none left. */
async function takeAll(all: readonly Counted[], request: FastifyRequest, asServer: boolean) {
  const left: string[] = []
  let refused: (Taken & { name: string }) | undefined
  for (const { name, per, one, server } of all) {
    const key = keyOf(request, per)
    if (key === undefined || refused) continue
    const taken = await (asServer ? server : one).take(key)
    left.push(`"${name}";r=${taken.remaining};t=${taken.retryAfterSeconds}`)
    if (!taken.allowed) refused = { ...taken, name }
  }
  return { refused, left: left.join(', ') }
}

const isServer = ({ actor, headers }: FastifyRequest): boolean =>
  actor.kind === 'server' && buyerAddressOf(headers, actor) === undefined

function keyOf(request: FastifyRequest, per: RouteLimit['per']): string | undefined {
  const { userId, apiKeyId, address } = request.actor
  const network = address ? `address ${networkOf(address)}` : undefined
  if (per === 'address') return network
  if (per === 'account') return userId ? `account ${userId}` : undefined
  if (isServer(request) && apiKeyId) return `key ${apiKeyId}`
  return userId ? `account ${userId}` : network
}
