import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { created, noContent, ok } from '#platform/http/answer.ts'
import { closed, EmailSchema, named, nullable, oneOf } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { deviceCookieOf, forgetRefreshCookie, keepInCookies, refreshCookieOf } from './cookies.ts'
import { AUTH_LIMITS, type MayGetMail } from './limits.ts'
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
const RefreshTokenInSchema = Type.Unsafe<'cookie' | 'body'>({
  ...oneOf('cookie', 'body'),
  default: 'body',
  description: '`cookie`: the browser keeps it where no script reads it, and shows it by itself.',
})
const Credentials = named(
  'Credentials',
  closed({
    email: Type.String({ maxLength: 254 }),
    password: PasswordSchema,
    code: Type.Optional(CodeSchema),
    deviceToken: Type.Optional(DeviceTokenSchema),
    refreshTokenIn: Type.Optional(RefreshTokenInSchema),
  }),
)
const RefreshTokenSchema = Type.String({ minLength: 1, maxLength: 200 })
const Refresh = named(
  'RefreshSession',
  closed({
    refreshToken: Type.Optional(RefreshTokenSchema),
    refreshTokenIn: Type.Optional(RefreshTokenInSchema),
  }),
)
const LogOut = named('LogOut', closed({ refreshToken: Type.Optional(RefreshTokenSchema) }))
const LoggedIn = named(
  'LoggedIn',
  closed({
    accessToken: Type.String({ description: 'Send it as `Authorization: Bearer <token>`.' }),
    refreshToken: nullable(
      Type.String({
        description: 'Good for one refresh, which gives the next; null: the browser keeps it in a cookie.',
      }),
    ),
    expiresIn: Type.Integer({ description: 'Seconds until the access token ends.' }),
    deviceToken: Type.Optional(DeviceTokenSchema),
    user: UserSchema,
  }),
)

/** Registering, logging in and out. Hashing is done before the database is asked for a connection. */
export const authRoutes =
  (use: UserUseCases, { answer, answerOne, origins }: Platform, mayGetMail: MayGetMail): FastifyPluginAsyncTypebox =>
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
        const may = await mayGetMail(request.body)
        return answer(request, reply, async (work) =>
          created(await use.register(work, { email, name, passwordHash, locale }, may), '/v1/users/me'),
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
            'platform.foreign-origin',
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
          const { email, refreshTokenIn, ...shown } = request.body
          const inCookie = refreshTokenIn === 'cookie'
          if (inCookie) origins.refuseForeign(request, 'more')
          const deviceToken = shown.deviceToken ?? (inCookie ? deviceCookieOf(request) : undefined)
          const check = () => use.checkPassword(single, { email }, { ...shown, deviceToken })
          const loggedIn = await use.openSession(single, check, deviceOf(request))
          return ok(inCookie ? keepInCookies(reply, loggedIn) : loggedIn)
        }),
    )

    app.post(
      '/auth/refresh',
      {
        schema: {
          operationId: 'refreshSession',
          summary: 'Exchange a refresh token, of the body or else the cookie, for a new access token and the next one',
          tags: ['auth'],
          body: nullable(Refresh),
          response: { 200: LoggedIn },
        },
        config: {
          permission: 'public',
          limits: AUTH_LIMITS.refresh,
          refuses: ['users.invalid-refresh-token', 'platform.foreign-origin'],
          neverShed: true,
        },
      },
      (request, reply) =>
        answerOne(request, reply, async (single) => {
          const { refreshToken, refreshTokenIn } = request.body ?? {}
          const inCookie = refreshToken === undefined || refreshTokenIn === 'cookie'
          const token = refreshToken ?? refreshCookieOf(request)
          if (token === undefined) throw refuse('users.invalid-refresh-token')
          if (inCookie) origins.refuseForeign(request, refreshToken === undefined ? 'cookie' : 'more')
          const loggedIn = await use.refreshSession(single, token, deviceOf(request))
          return ok(inCookie ? keepInCookies(reply, loggedIn) : loggedIn)
        }),
    )

    app.post(
      '/auth/logout',
      {
        schema: {
          operationId: 'logOut',
          summary: 'End the session of the access token, and that of the refresh token or cookie; all are void at once',
          tags: ['auth'],
          body: nullable(LogOut),
          response: { 204: Type.Null() },
        },
        config: { permission: 'public', refuses: ['platform.foreign-origin'], neverShed: true },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const given = request.body?.refreshToken
          const cookie = given === undefined ? refreshCookieOf(request) : undefined
          if (cookie !== undefined) origins.refuseForeign(request, work.actor.sessionId ? 'more' : 'cookie')
          await use.logOut(work, given ?? cookie)
          if (cookie !== undefined) forgetRefreshCookie(request, reply)
          return noContent()
        }),
    )
  }

/** What the program that asks calls itself: one line, cut to what people read. */
const deviceOf = ({ headers }: FastifyRequest): string | null => headers['user-agent']?.slice(0, 300) || null
