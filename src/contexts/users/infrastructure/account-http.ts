import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Answer } from '#platform/http/answer.ts'
import { noContent } from '#platform/http/answer.ts'
import { closed, EmailSchema, named } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { isStaff } from '../domain/roles.ts'
import { requireRecent } from '../domain/session.ts'
import { AUTH_LIMITS, type MayGetMail } from './limits.ts'
import { PasswordSchema } from './schemas.ts'
import type { UserViews } from './user-views.ts'

const AddressBody = named('EmailOnly', closed({ email: EmailSchema }))
const Noted = named('EmailNoted', closed({ email: Type.String() }))
const TokenSchema = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'What stands behind `#token=` in the link.',
})
const LinkBody = named('LinkToken', closed({ token: TokenSchema }))
const VerifyBody = named('VerifyEmail', closed({ token: TokenSchema, password: Type.Optional(PasswordSchema) }))
const ResetBody = named('ResetPassword', closed({ token: TokenSchema, password: PasswordSchema }))
const PasswordBody = named('ChangePassword', closed({ currentPassword: PasswordSchema, password: PasswordSchema }))

/** 202: what is to happen happens by mail, or not at all; the answer does not tell which. */
const noted = (body: { email: string }): Answer<{ email: string }> => ({ status: 202, body })

/** Proving an e-mail address, and changing it or the password. Hashing is done before the database is asked for a connection. */
export const accountRoutes =
  (
    use: UserUseCases,
    views: UserViews,
    { db, clock, perform, answer }: Platform,
    mayGetMail: MayGetMail,
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/auth/resend-verification',
      {
        schema: {
          operationId: 'resendVerification',
          summary:
            'Send the link that verifies an address once more; the answer is the same whether or not it has an account',
          tags: ['auth'],
          body: AddressBody,
          response: { 202: Noted },
        },
        config: { permission: 'public', limits: AUTH_LIMITS.askForMail },
      },
      async (request, reply) => {
        const may = await mayGetMail(request.body)
        return answer(request, reply, async (work) =>
          noted(may ? await use.resendVerification(work, request.body) : request.body),
        )
      },
    )

    app.post(
      '/auth/verify-email',
      {
        schema: {
          operationId: 'verifyEmail',
          summary: 'Verify an address by the link that was sent to it, logged in or with the password of the account',
          tags: ['auth'],
          body: VerifyBody,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'public',
          refuses: ['users.invalid-link', 'users.wrong-credentials', 'users.too-many-attempts', 'users.too-busy'],
          limits: AUTH_LIMITS.useToken,
        },
      },
      async (request, reply) => {
        const { actor, id: requestId } = request
        const { token, password } = request.body
        await perform.one({ actor, requestId }, (single) => use.checkLinkHolder(single, token, password))
        return answer(request, reply, async (work) => {
          await use.verifyEmail(work, token)
          return noContent()
        })
      },
    )

    app.post(
      '/auth/forgot-password',
      {
        schema: {
          operationId: 'forgotPassword',
          summary:
            'Send a link that sets a new password; the answer is the same whether or not the address has an account',
          tags: ['auth'],
          body: AddressBody,
          response: { 202: Noted },
        },
        config: { permission: 'public', limits: AUTH_LIMITS.askForMail },
      },
      async (request, reply) => {
        const may = await mayGetMail(request.body)
        return answer(request, reply, async (work) =>
          noted(may ? await use.forgotPassword(work, request.body) : request.body),
        )
      },
    )

    app.post(
      '/auth/reset-password',
      {
        schema: {
          operationId: 'resetPassword',
          summary: 'Set a new password by the link that was sent; every session ends',
          tags: ['auth'],
          body: ResetBody,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'public',
          refuses: ['users.invalid-link', 'users.weak-password', 'users.too-busy'],
          limits: AUTH_LIMITS.useToken,
        },
      },
      async (request, reply) => {
        const { token, password } = request.body
        const hash = await use.hashForLink(db, token, password, clock())
        return answer(request, reply, async (work) => {
          await use.resetPassword(work, token, hash)
          return noContent()
        })
      },
    )

    app.post(
      '/users/me/password',
      {
        schema: {
          operationId: 'changePassword',
          summary: 'Change my password; my other sessions end. Needs a recent login',
          tags: ['users'],
          body: PasswordBody,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'account:write',
          idempotency: 'none',
          refuses: [
            'users.reauthentication-required',
            'users.wrong-credentials',
            'users.too-many-attempts',
            'users.weak-password',
            'users.too-busy',
          ],
        },
      },
      async (request, reply) => {
        const { actor, id: requestId, body } = request
        if (!actor.userId) throw refuse('users.not-found')
        requireRecent(actor, clock())
        const { user } = await views.findUser(actor.userId)
        const holder = { ...user, isStaff: isStaff(user.roles) }
        const wanted = await perform.one({ actor, requestId }, (single) => use.checkNewPassword(single, holder, body))
        return answer(request, reply, async (work) => {
          await use.changePassword(work, wanted)
          return noContent()
        })
      },
    )

    app.post(
      '/users/me/email',
      {
        schema: {
          operationId: 'askEmailChange',
          summary: 'Ask for another e-mail address: a link goes there, a notice to the old one. Needs a recent login',
          tags: ['users'],
          body: AddressBody,
          response: { 202: Noted },
        },
        config: {
          permission: 'account:write',
          idempotency: 'none',
          refuses: ['users.reauthentication-required'],
          limits: AUTH_LIMITS.askForMail,
        },
      },
      async (request, reply) => {
        const may = await mayGetMail(request.body)
        return answer(request, reply, async (work) => {
          const { userId } = work.actor
          if (!userId) throw refuse('users.not-found')
          requireRecent(work.actor, work.now)
          return noted(may ? await use.askEmailChange(work, userId, request.body) : request.body)
        })
      },
    )

    app.post(
      '/auth/change-email',
      {
        schema: {
          operationId: 'changeEmail',
          summary: 'Use the new address, by the link that was sent to it',
          tags: ['auth'],
          body: LinkBody,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'public',
          refuses: ['users.invalid-link', 'users.email-taken'],
          limits: AUTH_LIMITS.useToken,
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.changeEmail(work, request.body.token)
          return noContent()
        }),
    )
  }
