import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { noContent } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import { closed, idSchema, named, nullable, pageQuery, pageSchema, TimeSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { forgetRefreshCookie } from './cookies.ts'
import type { SessionViews } from './session-views.ts'

const SessionSchema = named(
  'SessionView',
  closed({
    id: idSchema('ses'),
    createdAt: TimeSchema,
    lastUsedAt: TimeSchema,
    address: nullable(Type.String({ description: 'Where it was last used from.' })),
    device: nullable(Type.String({ description: 'The User-Agent that it was last used with.' })),
    current: Type.Boolean({ description: 'Whether it is the one that asks.' }),
  }),
)

/** One's own sessions: seen, and ended one by one or all at once. */
export const sessionRoutes =
  (use: UserUseCases, views: SessionViews, { answer, clock }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/auth/sessions',
      {
        schema: {
          operationId: 'listMySessions',
          summary: 'Where I am logged in, the newest login first',
          tags: ['auth'],
          querystring: closed(pageQuery),
          response: { 200: named('SessionPage', pageSchema(SessionSchema)) },
        },
        config: { permission: 'account:read', refuses: ['users.not-found'] },
      },
      async ({ actor, query: { limit = 20, cursor } }) => {
        if (!actor.userId) throw refuse('users.not-found')
        const [afterId] = cursor === undefined ? [] : placeOf(cursor, 'text')
        const { data, nextCursor } = await views.listSessions(actor.userId, { now: clock(), limit, afterId })
        return { data: data.map((one) => ({ ...one, current: one.id === actor.sessionId })), nextCursor }
      },
    )

    app.delete(
      '/auth/sessions',
      {
        schema: {
          operationId: 'endMySessions',
          summary: 'Log out everywhere, here as well; all tokens are void at once',
          tags: ['auth'],
          response: { 204: Type.Null() },
        },
        config: { permission: 'account:write', idempotency: 'none', refuses: ['users.session-not-found'] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.endAllMySessions(work)
          forgetRefreshCookie(request, reply)
          return noContent()
        }),
    )

    app.delete(
      '/auth/sessions/:id',
      {
        schema: {
          operationId: 'endMySession',
          summary: 'End one of my sessions; its tokens are void at once',
          tags: ['auth'],
          params: closed({ id: idSchema('ses') }),
          response: { 204: Type.Null() },
        },
        config: { permission: 'account:write', idempotency: 'optional', refuses: ['users.session-not-found'] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.endSessionOfMine(work, request.params.id)
          return noContent()
        }),
    )
  }
