import type { FastifyInstance } from 'fastify'
import type { Actor } from '#platform/db/work.ts'
import { localeOf } from '#platform/mail/languages.ts'
import { refuse } from '#platform/problems.ts'
import { buyerAddressOf } from './address.ts'
import type { Idempotency } from './answer.ts'
import { allRoutes } from './routes.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `resource:action`, or `public` for what needs none. */
    permission?: string
    idempotency?: Idempotency
    /** Every problem code that the route's own rules can answer with. */
    refuses?: readonly string[]
  }
  interface FastifyRequest {
    actor: Actor
  }
}

/** What a request shows of who sends it. */
export type Credentials = { readonly authorization: string | undefined; readonly address: string }

/** Who shows these credentials: refuses an invalid token; without one it is a guest with the tokens of its cart and order. */
export type Authenticate = (credentials: Credentials) => Promise<Actor>

const PERMISSION = /^(public|[a-z-]+:[a-z-]+)$/

/** Makes every route name its permission (one without refuses to boot) and checks it on every request. */
export function guardRoutes(app: FastifyInstance, authenticate: Authenticate): void {
  app.decorateRequest('actor', null as unknown as Actor)

  app.addHook('onReady', async () => {
    const open = allRoutes(app).find(
      ({ method, config }) => method !== 'OPTIONS' && !PERMISSION.test(config?.permission ?? ''),
    )
    if (open) throw new Error(`${String(open.method)} ${open.url} names no permission: set config.permission.`)
  })

  app.addHook('onRequest', async (request) => {
    const { headers } = request
    const shown = await authenticate({ authorization: headers.authorization, address: request.ip })
    const buyerAddress = buyerAddressOf(headers, shown)
    const actor = buyerAddress ? { ...shown, address: buyerAddress } : shown
    const cartToken = single(headers['x-cart-token'])
    const orderToken = single(headers['x-order-token'])
    const locale = actor.locale ?? localeOf(headers['accept-language'])
    request.actor = { ...actor, locale, cartToken, orderToken }
    const { permission } = request.routeOptions.config
    if (permission === 'public' || request.is404 || request.method === 'OPTIONS') return
    if (permission && actor.permissions.has(permission)) return
    if (permission && actor.withheld?.has(permission)) throw refuse('platform.second-factor-missing')
    throw actor.kind === 'guest' ? refuse('platform.unauthenticated') : refuse('platform.forbidden')
  })
}

const single = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' ? header : undefined
