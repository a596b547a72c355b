import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { noContent, ok } from '#platform/http/answer.ts'
import { closed, named } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import { inSession } from '../application/second-factor.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { CodeSchema, PasswordSchema } from './schemas.ts'
import { readSecondFactor } from './second-factor-store.ts'

const Reauthentication = named(
  'Reauthentication',
  closed({ password: PasswordSchema, code: Type.Optional(CodeSchema) }),
)
const SecondFactorStatus = named(
  'SecondFactorStatus',
  closed({ totp: Type.Boolean(), recoveryCodesLeft: Type.Integer() }),
)
const TotpStarted = named(
  'TotpStarted',
  closed({
    secret: Type.String({ description: 'Base32, to type into an app.' }),
    uri: Type.String({ description: '`otpauth://…`, to show as a QR code.' }),
  }),
)
const TotpConfirmation = named('TotpConfirmation', closed({ code: CodeSchema }))
const RecoveryCodes = named(
  'RecoveryCodes',
  closed({ recoveryCodes: Type.Array(Type.String(), { description: 'Each stands for a code of the app, once.' }) }),
)

/** One's own second factor, and showing once more who one is. What these answer is told once: it is kept under no Idempotency-Key. */
export const mfaRoutes =
  (use: UserUseCases, { db, answer, answerOne }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/auth/reauthentication',
      {
        schema: {
          operationId: 'reauthenticate',
          summary: 'Show the password, and the second factor, once more: good for ten minutes of this session',
          tags: ['auth'],
          body: Reauthentication,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'account:write',
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
          await use.reauthenticate(single, request.body)
          return noContent()
        }),
    )

    app.get(
      '/auth/mfa',
      {
        schema: {
          operationId: 'readSecondFactor',
          summary: 'Whether I have a second factor, and how many recovery codes are left',
          tags: ['auth'],
          response: { 200: SecondFactorStatus },
        },
        config: { permission: 'account:read' },
      },
      ({ actor }) => readSecondFactor(db, inSession({ actor }).userId),
    )

    app.post(
      '/auth/mfa/totp',
      {
        schema: {
          operationId: 'startTotp',
          summary: 'Make a secret for an authenticator app; it counts once it is confirmed',
          tags: ['auth'],
          response: { 200: TotpStarted },
        },
        config: { permission: 'account:write', refuses: ['users.reauthentication-required'] },
      },
      (request, reply) => answerOne(request, reply, async (single) => ok(await use.startTotp(single))),
    )

    app.post(
      '/auth/mfa/totp/confirmation',
      {
        schema: {
          operationId: 'confirmTotp',
          summary: 'Turn the second factor on with a code of the app; answers the recovery codes, this once',
          tags: ['auth'],
          body: TotpConfirmation,
          response: { 200: RecoveryCodes },
        },
        config: {
          permission: 'account:write',
          refuses: ['users.no-second-factor', 'users.wrong-code', 'users.too-many-attempts'],
        },
      },
      (request, reply) =>
        answerOne(request, reply, async (single) => ok(told(await use.confirmTotp(single, request.body.code)))),
    )

    app.post(
      '/auth/mfa/recovery-codes',
      {
        schema: {
          operationId: 'renewRecoveryCodes',
          summary: 'Make a new set of recovery codes; those before are void',
          tags: ['auth'],
          response: { 200: RecoveryCodes },
        },
        config: {
          permission: 'account:write',
          refuses: ['users.reauthentication-required', 'users.no-second-factor'],
        },
      },
      (request, reply) => answer(request, reply, async (work) => ok(told(await use.renewRecoveryCodes(work)))),
    )

    app.delete(
      '/auth/mfa/totp',
      {
        schema: {
          operationId: 'removeTotp',
          summary: 'Take my second factor away',
          tags: ['auth'],
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'account:write',
          refuses: ['users.reauthentication-required', 'users.second-factor-kept'],
        },
      },
      (request, reply) =>
        answerOne(request, reply, async (single) => {
          await use.removeTotp(single)
          return noContent()
        }),
    )
  }

const told = (recoveryCodes: readonly string[]) => ({ recoveryCodes: [...recoveryCodes] })
