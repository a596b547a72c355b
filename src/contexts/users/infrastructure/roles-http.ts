import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { created, noContent, ok } from '#platform/http/answer.ts'
import { etagOf, versionOf } from '#platform/http/etag.ts'
import { closed, named, textSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { PERMISSIONS } from '../domain/roles.ts'
import { storeFirstRoles } from './role-store.ts'
import { findRole, listRoles, roleView } from './role-views.ts'
import { PermissionsSchema, RoleNameSchema } from './schemas.ts'

const RoleSchema = named(
  'RoleView',
  closed({
    name: Type.String(),
    description: Type.String(),
    permissions: Type.Unsafe<readonly string[]>({
      type: 'array',
      items: { type: 'string' },
      description: 'Of staff: what the role adds to what a customer may do.',
    }),
    builtIn: Type.Boolean({ description: 'A shop begins with it; it cannot be deleted.' }),
    editable: Type.Boolean({ description: 'False: it is the same in every shop.' }),
  }),
)
const RoleList = named(
  'Roles',
  closed({
    data: Type.Array(RoleSchema),
    permissions: Type.Array(closed({ name: Type.String(), allows: Type.String() }), {
      description: 'Everything that can be allowed.',
    }),
  }),
)
const NewRole = named(
  'NewRole',
  closed({ name: RoleNameSchema, description: textSchema(200), permissions: PermissionsSchema }),
)
const RoleChanges = named(
  'RoleChanges',
  closed(
    { description: Type.Optional(textSchema(200)), permissions: Type.Optional(PermissionsSchema) },
    { minProperties: 1 },
  ),
)
const RoleParams = closed({ name: RoleNameSchema })
const CHANGES = [
  'users.role-not-found',
  'users.cannot-grant',
  'users.fixed-role',
  'platform.stale',
  'platform.precondition-required',
] as const

/** Who may do what: the roles, fixed and stored, and how the stored ones are changed. */
export const roleRoutes =
  (use: UserUseCases, { db, clock, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addHook('onReady', () => storeFirstRoles(db, clock()))

    app.get(
      '/roles',
      {
        schema: { operationId: 'listRoles', summary: 'Who may do what', tags: ['users'], response: { 200: RoleList } },
        config: { permission: 'roles:read' },
      },
      async () => ({
        data: await listRoles(db),
        permissions: Object.entries(PERMISSIONS).map(([name, allows]) => ({ name, allows })),
      }),
    )

    app.post(
      '/roles',
      {
        schema: {
          operationId: 'makeRole',
          summary: 'Make a role of permissions that you have yourself',
          tags: ['users'],
          body: NewRole,
          response: { 201: RoleSchema },
        },
        config: {
          permission: 'roles:write',
          idempotency: 'optional',
          refuses: ['users.cannot-grant', 'users.role-exists'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const role = await use.makeRole(work, request.body)
          return { ...created(roleView(role), `/v1/roles/${role.name}`), etag: etagOf(1) }
        }),
    )

    app.get(
      '/roles/:name',
      {
        schema: {
          operationId: 'readRole',
          summary: 'One role; its ETag is asked for by a change',
          tags: ['users'],
          params: RoleParams,
          response: { 200: RoleSchema },
        },
        config: { permission: 'roles:read', refuses: ['users.role-not-found'] },
      },
      async (request, reply) => {
        const { role, version } = await findRole(db, request.params.name)
        reply.header('etag', etagOf(version))
        return role
      },
    )

    app.patch(
      '/roles/:name',
      {
        schema: {
          operationId: 'changeRole',
          summary: 'Change what a role allows; it bites on the next request of whoever has it',
          tags: ['users'],
          params: RoleParams,
          body: RoleChanges,
          response: { 200: RoleSchema },
        },
        config: { permission: 'roles:write', idempotency: 'optional', refuses: CHANGES },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { role, version } = await use.changeRole(work, request.params.name, request.body, versionOf(request))
          return ok(roleView(role), etagOf(version))
        }),
    )

    app.delete(
      '/roles/:name',
      {
        schema: {
          operationId: 'removeRole',
          summary: 'Delete a role that nobody has',
          tags: ['users'],
          params: RoleParams,
          response: { 204: Type.Null() },
        },
        config: { permission: 'roles:write', idempotency: 'optional', refuses: [...CHANGES, 'users.role-in-use'] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.removeRole(work, request.params.name, versionOf(request))
          return noContent()
        }),
    )
  }
