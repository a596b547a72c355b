import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { cursorAfter } from '#kernel/page.ts'
import { listDeadLetters, replayDeadLetter } from '#platform/messaging/dead-letters.ts'
import type { Platform } from '#platform/platform.ts'
import { refuse } from '#platform/problems.ts'
import { noContent } from './answer.ts'
import { placeOf } from './cursor.ts'
import { closed, named, pageQuery, pageSchema, TimeSchema } from './schemas.ts'

const DeadLetterView = named(
  'DeadLetter',
  closed({
    id: Type.String(),
    consumer: Type.String(),
    eventId: Type.Integer(),
    type: Type.String(),
    subject: Type.String(),
    attempts: Type.Integer(),
    error: Type.String(),
    parkedAt: TimeSchema,
  }),
)

/** The operator's routes: parked events, listed and replayed. */
export const operationRoutes =
  ({ db, answer }: Pick<Platform, 'db' | 'answer'>): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/dead-letters',
      {
        schema: {
          operationId: 'listDeadLetters',
          summary: 'Events that a consumer gave up on',
          tags: ['operations'],
          querystring: closed(pageQuery),
          response: { 200: pageSchema(DeadLetterView) },
        },
        config: { permission: 'events:read' },
      },
      async ({ query: { limit = 20, cursor } }) => {
        const [eventId, consumer] = cursor === undefined ? [0, ''] : placeOf(cursor, 'integer', 'text')
        const rows = await listDeadLetters(db, limit + 1, { eventId, consumer })
        const last = rows.length > limit ? rows[limit - 1] : undefined
        return { data: rows.slice(0, limit), nextCursor: last ? cursorAfter([last.eventId, last.consumer]) : null }
      },
    )
    app.post(
      '/dead-letters/:id/replay',
      {
        schema: {
          operationId: 'replayDeadLetter',
          summary: 'Give a parked event back to its consumer',
          tags: ['operations'],
          params: closed({ id: Type.String({ pattern: '^[0-9]{1,15}:[a-z.-]{1,80}$' }) }),
          response: { 204: Type.Null() },
        },
        config: { permission: 'events:replay', idempotency: 'optional', refuses: ['platform.not-found'] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const [eventId = '', consumer = ''] = request.params.id.split(':')
          if (!(await replayDeadLetter(work, Number(eventId), consumer))) throw refuse('platform.not-found')
          return noContent()
        }),
    )
  }
