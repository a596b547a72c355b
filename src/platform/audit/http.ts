import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { placeOf } from '#platform/http/cursor.ts'
import { closed, named, nullable, pageQuery, pageSchema, TimeSchema, textSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import { listAudit } from './audit-log.ts'

const Facts = nullable(Type.Unsafe<object>({ type: 'object', additionalProperties: true }))
const AuditEntry = named(
  'AuditEntry',
  closed({
    id: Type.Integer(),
    at: TimeSchema,
    actor: closed({
      kind: Type.String({ description: 'guest, customer, staff, server or system' }),
      id: nullable(Type.String({ description: 'Of a user or an API key.' })),
    }),
    address: nullable(Type.String({ description: 'The IP address that the actor came from.' })),
    action: Type.String(),
    subject: Type.String({ description: 'The id of what it was done to.' }),
    requestId: Type.String(),
    before: Facts,
    after: Facts,
  }),
)
const AuditQuery = closed({
  ...pageQuery,
  actorId: Type.Optional(textSchema(100)),
  subject: Type.Optional(textSchema(100)),
  action: Type.Optional(
    Type.String({ pattern: '^[a-z-]{1,40}\\.[a-z-]{0,60}$', description: 'Whole, or a context: `users.`' }),
  ),
  from: Type.Optional(TimeSchema),
  before: Type.Optional(TimeSchema),
})

/** The audit log as staff search it. It can only be read: the service's database role may add rows, and no more. */
export const auditRoutes =
  ({ db, encryption }: Pick<Platform, 'db' | 'encryption'>): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/audit-log',
      {
        schema: {
          operationId: 'listAuditLog',
          summary: 'Who did what, when and from where: the newest first',
          tags: ['operations'],
          querystring: AuditQuery,
          response: { 200: pageSchema(AuditEntry) },
        },
        config: { permission: 'audit:read' },
      },
      async ({ query: { limit = 20, cursor, from, before, ...filter } }) => {
        const [beforeId] = cursor === undefined ? [undefined] : placeOf(cursor, 'integer')
        const page = await listAudit(db, encryption, {
          ...filter,
          limit,
          beforeId,
          from: from === undefined ? undefined : new Date(from),
          before: before === undefined ? undefined : new Date(before),
        })
        return { data: [...page.data], nextCursor: page.nextCursor }
      },
    )
  }
