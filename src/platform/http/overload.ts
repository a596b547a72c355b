import type { FastifyInstance, FastifyRequest } from 'fastify'
import { refuse } from '#platform/problems.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { HttpMetrics } from '#platform/telemetry/metrics.ts'
import { sendProblem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served however much there is to do: what tells how we are, what providers send, what keeps or ends a session. */
    neverShed?: boolean
  }
}

/** Who is turned away: while others wait longer than `waitMs`, and such waits have gone on for `forMs`. */
type Threshold = { readonly waitMs: number; readonly forMs: number }

/** `forMs` lets pass what is over by itself: a checkpoint, a migration's lock, a process that starts, a burst of buyers. */
const BEGINS: Threshold = { waitMs: 150, forMs: 500 }
const GOES_ON: Threshold = { waitMs: 2_000, forMs: 2_000 }
/** The wait is looked at so often, and not as requests come: those that came while the process stood still tell nothing. */
const LOOK_EVERY_MS = 50
const RETRY_AFTER_SECONDS = 2

type Overload = {
  /** How long the first of those who wait for a connection to the database has waited; 0 when nobody does. */
  readonly waitedMs: () => number
  readonly metrics: Pick<HttpMetrics, 'shed'>
  readonly log: Log
}

/**
 * Turns requests away with 503 platform.overloaded, before anything is done for them, while others wait too long for a
 * connection to the database: an answer that comes when nobody waits for it any more is work for nothing. Who begins is
 * turned away first, so that what is begun is finished: carts become orders, and orders are paid.
 */
export function shedLoad(app: FastifyInstance, { waitedMs, metrics, log }: Overload): void {
  /** For how long waits have been too long, less the time that they were not. */
  let [overMs, isTold] = [0, false]
  const look = setInterval(() => {
    const change = waitedMs() > BEGINS.waitMs ? LOOK_EVERY_MS : -LOOK_EVERY_MS
    overMs = Math.min(Math.max(overMs + change, 0), GOES_ON.forMs)
    isTold &&= overMs > 0
  }, LOOK_EVERY_MS).unref()
  app.addHook('onClose', async () => clearInterval(look))
  app.addHook('onRequest', (request, reply, done) => {
    if (overMs < BEGINS.forMs || request.routeOptions.config.neverShed) return done()
    const { waitMs, forMs } = goesOn(request) ? GOES_ON : BEGINS
    const waited = waitedMs()
    if (overMs < forMs || waited <= waitMs) return done()
    if (!isTold) log.warn({ waitedMs: Math.round(waited) }, 'overloaded: requests are turned away')
    isTold = true
    metrics.shed()
    sendProblem(request, reply, refuse('platform.overloaded', undefined, { retryAfterSeconds: RETRY_AFTER_SECONDS }))
  })
}

/** Whether somebody goes on with a cart or an order, or is logged in. */
const goesOn = ({ headers }: FastifyRequest): boolean =>
  headers['x-cart-token'] !== undefined || headers['x-order-token'] !== undefined || headers.authorization !== undefined
