import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { UserId } from '#kernel/ids.ts'
import { created, ok } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import { etagOf, versionOf } from '#platform/http/etag.ts'
import { refuseSearchBy } from '#platform/http/fields.ts'
import { closed, EmailSchema, idSchema, named, pageQuery, pageSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { LocaleSchema, NameSchema, PasswordSchema, StaffRolesSchema, UserSchema } from './schemas.ts'
import { type UserViews, viewOf } from './user-views.ts'

const Me = named(
  'ChangeMe',
  closed({ name: Type.Optional(NameSchema), locale: Type.Optional(LocaleSchema) }, { minProperties: 1 }),
)
const NewStaff = named(
  'NewStaff',
  closed({ email: EmailSchema, password: PasswordSchema, name: NameSchema, roles: StaffRolesSchema }),
)
const AccountChange = named(
  'AccountChange',
  closed({ roles: Type.Optional(StaffRolesSchema), disabled: Type.Optional(Type.Boolean()) }, { minProperties: 1 }),
)
const UserQuery = closed({
  ...pageQuery,
  email: Type.Optional(Type.String({ maxLength: 254 })),
  kind: Type.Optional(Type.Unsafe<'customer' | 'staff'>({ type: 'string', enum: ['customer', 'staff'] })),
})
const UserParams = closed({ id: idSchema('usr') })

/** One's own account, and the accounts as staff see them. */
export const userRoutes =
  (use: UserUseCases, views: UserViews, { answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/users/me',
      {
        schema: { operationId: 'readMe', summary: 'Who I am', tags: ['users'], response: { 200: UserSchema } },
        config: { permission: 'account:read' },
      },
      async (request) => (await views.findUser(userIdOf(request))).user,
    )

    app.patch(
      '/users/me',
      {
        schema: {
          operationId: 'changeMe',
          summary: 'Change my name, or the language of my mails',
          tags: ['users'],
          body: Me,
          response: { 200: UserSchema },
        },
        config: {
          permission: 'account:write',
          idempotency: 'optional',
          refuses: ['platform.invalid'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => ok(viewOf(await use.changeMe(work, userIdOf(request), request.body)))),
    )

    app.get(
      '/users',
      {
        schema: {
          operationId: 'listUsers',
          summary: 'Accounts, the newest first',
          tags: ['users'],
          querystring: UserQuery,
          response: { 200: named('UserPage', pageSchema(UserSchema)) },
        },
        config: { permission: 'users:read', refuses: ['platform.forbidden-field'] },
      },
      async ({ actor, query: { limit = 20, cursor, email, kind } }) => {
        if (email !== undefined) refuseSearchBy('email', 'customers:read', actor)
        const [afterId] = cursor === undefined ? [] : placeOf(cursor, 'text')
        const { data, nextCursor } = await views.listUsers({ limit, afterId, email, kind })
        return { data: [...data], nextCursor }
      },
    )

    app.post(
      '/users',
      {
        schema: {
          operationId: 'createStaff',
          summary: 'Make a staff account',
          tags: ['users'],
          body: NewStaff,
          response: { 201: UserSchema },
        },
        config: {
          permission: 'users:write',
          idempotency: 'optional',
          refuses: [
            'users.weak-password',
            'users.unknown-role',
            'users.cannot-grant',
            'users.email-taken',
            'users.too-busy',
          ],
        },
      },
      async (request, reply) => {
        const { password, ...wanted } = request.body
        const passwordHash = await use.hashNewPassword(password, 'staff', wanted)
        return answer(request, reply, async (work) => {
          const user = await use.createStaff(work, { ...wanted, passwordHash })
          return created(viewOf(user), `/v1/users/${user.id}`)
        })
      },
    )

    app.get(
      '/users/:id',
      {
        schema: {
          operationId: 'readUser',
          summary: 'One account; its ETag is asked for by a change',
          tags: ['users'],
          params: UserParams,
          response: { 200: UserSchema },
        },
        config: { permission: 'users:read', refuses: ['users.not-found'] },
      },
      async (request, reply) => {
        const { user, version } = await views.findUser(request.params.id)
        reply.header('etag', etagOf(version))
        return user
      },
    )

    app.patch(
      '/users/:id',
      {
        schema: {
          operationId: 'changeAccount',
          summary: 'Change the roles of staff, or disable or enable an account; it bites on their next request',
          tags: ['users'],
          params: UserParams,
          body: AccountChange,
          response: { 200: UserSchema },
        },
        config: {
          permission: 'roles:grant',
          idempotency: 'optional',
          refuses: [
            'users.not-found',
            'users.not-staff',
            'users.unknown-role',
            'users.cannot-grant',
            'users.last-owner',
            'platform.stale',
            'platform.precondition-required',
          ],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { user, version } = await use.changeAccount(work, request.params.id, request.body, versionOf(request))
          return ok(viewOf(user), etagOf(version))
        }),
    )
  }

/** Whoever has the permission for these routes has an account, except Stoa itself. */
function userIdOf({ actor }: FastifyRequest): UserId {
  if (!actor.userId) throw refuse('users.not-found')
  return actor.userId
}
