import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { created, noContent } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import { closed, idSchema, named, nullable, pageQuery, pageSchema, TimeSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { type ApiKey, DEFAULT_DAYS, MAX_DAYS, MAX_OVERLAP_HOURS } from '../domain/api-key.ts'
import { listApiKeys } from './api-key-store.ts'
import { NameSchema, PermissionsSchema } from './schemas.ts'

const view = {
  id: idSchema('key'),
  name: Type.String(),
  hint: Type.String({ description: 'The last four characters of the secret.' }),
  permissions: Type.Unsafe<readonly string[]>({ type: 'array', items: { type: 'string' } }),
  createdBy: nullable(idSchema('usr')),
  createdAt: TimeSchema,
  expiresAt: TimeSchema,
  lastUsedAt: nullable(TimeSchema),
  revokedAt: nullable(TimeSchema),
  replacedBy: nullable(idSchema('key')),
}
const ApiKeySchema = named('ApiKeyView', closed(view))
const IssuedApiKey = named(
  'IssuedApiKey',
  closed({
    ...view,
    secret: Type.String({
      description: 'Shown this once. Send it as `Authorization: Bearer sk_…`, from a server only.',
    }),
  }),
)
const NewApiKey = named(
  'NewApiKey',
  closed({
    name: NameSchema,
    permissions: Type.Unsafe<string[]>({
      ...PermissionsSchema,
      minItems: 1,
      description: 'What the key allows beside what everybody may do; each must be a permission of yours.',
    }),
    expiresInDays: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_DAYS, default: DEFAULT_DAYS })),
  }),
)
const Rotation = named(
  'RotateApiKey',
  closed({
    overlapHours: Type.Integer({
      minimum: 0,
      maximum: MAX_OVERLAP_HOURS,
      description: 'How long the old key works beside the new one.',
    }),
  }),
)
const ApiKeyParams = closed({ id: idSchema('key') })

/** Keys for servers. Making one is never replayed: its secret is kept nowhere. */
export const apiKeyRoutes =
  (use: UserUseCases, { db, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/api-keys',
      {
        schema: {
          operationId: 'listApiKeys',
          summary: 'API keys, the newest first, those that have ended as well',
          tags: ['users'],
          querystring: closed(pageQuery),
          response: { 200: pageSchema(ApiKeySchema) },
        },
        config: { permission: 'api-keys:read' },
      },
      async ({ query: { limit = 20, cursor } }) => {
        const [afterId] = cursor === undefined ? [] : placeOf(cursor, 'text')
        const { data, nextCursor } = await listApiKeys(db, limit, afterId)
        return { data: data.map(viewOf), nextCursor }
      },
    )

    app.post(
      '/api-keys',
      {
        schema: {
          operationId: 'issueApiKey',
          summary: 'Make an API key; needs a recent login, and the answer alone has its secret',
          tags: ['users'],
          body: NewApiKey,
          response: { 201: IssuedApiKey },
        },
        config: {
          permission: 'api-keys:write',
          idempotency: 'none',
          refuses: ['users.cannot-grant', 'users.reauthentication-required'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { expiresInDays: days = DEFAULT_DAYS, ...wanted } = request.body
          const { key, secret } = await use.issueApiKey(work, { ...wanted, days })
          return created({ ...viewOf(key), secret }, '/v1/api-keys')
        }),
    )

    app.post(
      '/api-keys/:id/rotation',
      {
        schema: {
          operationId: 'rotateApiKey',
          summary: 'Put a new secret in the place of a key, which works on for the overlap; needs a recent login',
          tags: ['users'],
          params: ApiKeyParams,
          body: Rotation,
          response: { 201: IssuedApiKey },
        },
        config: {
          permission: 'api-keys:write',
          idempotency: 'none',
          refuses: ['users.key-not-found', 'users.key-ended', 'users.cannot-grant', 'users.reauthentication-required'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { key, secret } = await use.rotateApiKey(work, request.params.id, request.body.overlapHours)
          return created({ ...viewOf(key), secret }, '/v1/api-keys')
        }),
    )

    app.delete(
      '/api-keys/:id',
      {
        schema: {
          operationId: 'revokeApiKey',
          summary: 'End an API key at once, for good',
          tags: ['users'],
          params: ApiKeyParams,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'api-keys:write',
          idempotency: 'optional',
          refuses: ['users.key-not-found', 'users.cannot-grant'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.revokeApiKey(work, request.params.id)
          return noContent()
        }),
    )
  }

const viewOf = ({ createdAt, expiresAt, lastUsedAt, revokedAt, ...key }: ApiKey) => ({
  ...key,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt.toISOString(),
  lastUsedAt: lastUsedAt?.toISOString() ?? null,
  revokedAt: revokedAt?.toISOString() ?? null,
})
