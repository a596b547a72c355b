import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { created, noContent, ok } from '#platform/http/answer.ts'
import { closed, EmailSchema, named, nullable } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { AUTH_LIMITS } from './limits.ts'
import { CodeSchema, LocaleSchema, NameSchema, PasswordSchema, UserSchema } from './schemas.ts'

const Registration = named(
  'Registration',
  closed({
    email: EmailSchema,
    password: PasswordSchema,
    name: Type.Optional(NameSchema),
    locale: Type.Optional(LocaleSchema),
  }),
)
const Registered = named('Registered', closed({ email: Type.String() }))
const DeviceTokenSchema = Type.String({
  maxLength: 200,
  description: 'Of a login on this device: it is told from strangers then, whose failures do not count against it.',
})
const Credentials = named(
  'Credentials',
  closed({
    email: Type.String({ maxLength: 254 }),
    password: PasswordSchema,
    code: Type.Optional(CodeSchema),
    deviceToken: Type.Optional(DeviceTokenSchema),
  }),
)
const RefreshTokenSchema = Type.String({ minLength: 1, maxLength: 200 })
const LogOut = named('LogOut', closed({ refreshToken: Type.Optional(RefreshTokenSchema) }))
const LoggedIn = named(
  'LoggedIn',
  closed({
    accessToken: Type.String({ description: 'Send it as `Authorization: Bearer <token>`.' }),
    refreshToken: Type.String({ description: 'Good for one refresh, which gives the next.' }),
    expiresIn: Type.Integer({ description: 'Seconds until the access token ends.' }),
    deviceToken: Type.Optional(DeviceTokenSchema),
    user: UserSchema,
  }),
)

/** Registering, logging in and out. Hashing is done before the database is asked for a connection. */
export const authRoutes =
  (use: UserUseCases, { answer, answerOne }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/auth/register',
      {
        schema: {
          operationId: 'register',
          summary: 'Make an account; the answer is the same for an address that has one',
          tags: ['auth'],
          body: Registration,
          response: { 201: Registered },
        },
        config: {
          permission: 'public',
          limits: AUTH_LIMITS.register,
          refuses: ['users.weak-password', 'users.too-busy'],
        },
      },
      async (request, reply) => {
        const { email, password, name = null, locale } = request.body
        const passwordHash = await use.hashNewPassword(password, 'customer', { email, name })
        return answer(request, reply, async (work) =>
          created(await use.register(work, { email, name, passwordHash, locale }), '/v1/users/me'),
        )
      },
    )

    app.post(
      '/auth/login',
      {
        schema: {
          operationId: 'logIn',
          summary: 'Open a session',
          tags: ['auth'],
          body: Credentials,
          response: { 200: LoggedIn },
        },
        config: {
          permission: 'public',
          limits: AUTH_LIMITS.logIn,
          refuses: [
            'users.wrong-credentials',
            'users.second-factor-required',
            'users.wrong-code',
            'users.too-many-attempts',
            'users.too-busy',
          ],
        },
      },
      (request, reply) =>
        answerOne(request, reply, async (single) => {
          const { email, ...shown } = request.body
          return ok(await use.openSession(single, await use.checkPassword(single, { email }, shown), deviceOf(request)))
        }),
    )

    app.post(
      '/auth/refresh',
      {
        schema: {
          operationId: 'refreshSession',
          summary: 'Exchange a refresh token for a new access token and the next refresh token',
          tags: ['auth'],
          body: named('RefreshSession', closed({ refreshToken: RefreshTokenSchema })),
          response: { 200: LoggedIn },
        },
        config: {
          permission: 'public',
          limits: AUTH_LIMITS.refresh,
          refuses: ['users.invalid-refresh-token'],
        },
      },
      (request, reply) =>
        answerOne(request, reply, async (single) =>
          ok(await use.refreshSession(single, request.body.refreshToken, deviceOf(request))),
        ),
    )

    app.post(
      '/auth/logout',
      {
        schema: {
          operationId: 'logOut',
          summary: 'End the session of the access token, or of the refresh token given; both are void at once',
          tags: ['auth'],
          body: nullable(LogOut),
          response: { 204: Type.Null() },
        },
        config: { permission: 'public' },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.logOut(work, request.body?.refreshToken)
          return noContent()
        }),
    )
  }

/** What the program that asks calls itself: one line, cut to what people read. */
const deviceOf = ({ headers }: FastifyRequest): string | null => headers['user-agent']?.slice(0, 300) || null
