import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import { Type } from 'typebox'
import type { Reader } from '#platform/db/work.ts'
import { refuse } from '#platform/problems.ts'
import type { Metrics } from '#platform/telemetry/metrics.ts'
import { closed, named } from './schemas.ts'

const Health = named('Health', closed({ status: Type.Literal('ok') }))

/** Adds `/health` and `/health/live` (the process answers), `/health/ready` (it may get traffic) and `/metrics`. */
export function addHealth(app: FastifyInstance, db: Reader, metrics: Metrics): void {
  const route = (operationId: string, summary: string) => ({
    schema: { operationId, summary, tags: ['operations'], response: { 200: Health } },
    config: { permission: 'public', refuses: ['platform.unavailable'], neverShed: true },
  })
  app.get('/health', route('getHealth', 'Is the service there?'), async () => ({ status: 'ok' as const }))
  app.get('/health/live', route('getLiveness', 'Is the process alive?'), async () => ({ status: 'ok' as const }))
  app.get('/health/ready', route('getReadiness', 'May it get traffic?'), async () => {
    if (app.draining) throw refuse('platform.unavailable', 'The service is shutting down.', { retryAfterSeconds: 5 })
    await sql`select 1`.execute(db)
    return { status: 'ok' as const }
  })
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'getMetrics',
        summary: 'Metrics in Prometheus text format',
        tags: ['operations'],
        response: { 200: { content: { 'text/plain': { schema: Type.String() } } } },
      },
      config: { permission: 'public', neverShed: true },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  )
}
