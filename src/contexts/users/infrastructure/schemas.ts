import { Type } from '@fastify/type-provider-typebox'
import { closed, idSchema, named, nullable, TimeSchema } from '#platform/http/schemas.ts'
import { PASSWORD_MAX_LENGTH } from '../domain/password-rules.ts'
import { ROLES, STAFF_ROLES } from '../domain/roles.ts'

/** A line of text: no control characters, so that it can stand in a mail's header or a log. */
export const NameSchema = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000-\\u001f\\u007f]*$' })

/** Any characters at all; how short it may be depends on whose it is (domain/password-rules.ts). */
export const PasswordSchema = Type.String({ maxLength: PASSWORD_MAX_LENGTH })

/** Six digits of an authenticator app, or a recovery code. */
export const CodeSchema = Type.String({
  minLength: 6,
  maxLength: 64,
  description: 'The six digits that the authenticator app shows, or a recovery code.',
})

export const RoleSchema = Type.Unsafe<keyof typeof ROLES>({ type: 'string', enum: Object.keys(ROLES) })
export const StaffRolesSchema = Type.Array(
  Type.Unsafe<(typeof STAFF_ROLES)[number]>({ type: 'string', enum: STAFF_ROLES }),
  { minItems: 1, maxItems: STAFF_ROLES.length },
)

export const UserSchema = named(
  'UserView',
  closed({
    id: idSchema('usr'),
    email: Type.String(),
    name: nullable(Type.String()),
    roles: Type.Unsafe<readonly string[]>({ type: 'array', items: { type: 'string' } }),
    disabled: Type.Boolean(),
    createdAt: TimeSchema,
  }),
)
