import { Type } from '@fastify/type-provider-typebox'
import { readableBy } from '#platform/http/fields.ts'
import { closed, idSchema, named, TimeSchema } from '#platform/http/schemas.ts'
import { LANGUAGES } from '#platform/mail/languages.ts'
import { PASSWORD_MAX_LENGTH } from '../domain/password-rules.ts'
import { ALL_PERMISSIONS } from '../domain/roles.ts'

/** A line of text: no control characters, so that it can stand in a mail's header or a log. */
export const NameSchema = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000-\\u001f\\u007f]*$' })

/** Any characters at all; how short it may be depends on whose it is (domain/password-rules.ts). */
export const PasswordSchema = Type.String({ maxLength: PASSWORD_MAX_LENGTH })

/** The language that mails are written in; `en` unless given at registration. */
export const LocaleSchema = Type.Unsafe<string>({ type: 'string', enum: [...LANGUAGES] })

/** Six digits of an authenticator app, or a recovery code. */
export const CodeSchema = Type.String({
  minLength: 6,
  maxLength: 64,
  description: 'The six digits that the authenticator app shows, or a recovery code.',
})

export const RoleNameSchema = Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$', examples: ['support'] })
export const StaffRolesSchema = Type.Array(RoleNameSchema, { minItems: 1, maxItems: 20 })
export const PermissionsSchema = Type.Array(Type.Unsafe<string>({ type: 'string', enum: ALL_PERMISSIONS }), {
  maxItems: ALL_PERMISSIONS.length,
  uniqueItems: true,
})

export const UserSchema = named(
  'UserView',
  closed({
    id: idSchema('usr'),
    email: readableBy('customers:read', Type.String()),
    emailVerified: Type.Boolean(),
    name: readableBy('customers:read', Type.String()),
    locale: Type.String({ description: 'The language of their mails.' }),
    roles: Type.Unsafe<readonly string[]>({ type: 'array', items: { type: 'string' } }),
    disabled: Type.Boolean(),
    createdAt: TimeSchema,
  }),
)
