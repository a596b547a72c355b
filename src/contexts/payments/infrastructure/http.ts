import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Actor } from '#platform/db/work.ts'
import { noContent } from '#platform/http/answer.ts'
import type { RouteLimit } from '#platform/http/limits.ts'
import { closed, idSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { Proof } from '../application/attempt-payment.ts'
import type { PaymentsUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { attemptView, viewPayment, withoutPages } from './payment-views.ts'
import { commandOf, keyOf, receiptOf, sendReplay } from './replays.ts'
import { AttemptBody, AttemptSchema, PaymentSchema } from './schemas.ts'
import { staffRoutes } from './staff-http.ts'
import { viewForStaff } from './staff-views.ts'

const Params = closed({ id: idSchema('pay') })
const tags = ['payments']
const PAY_LIMITS: readonly RouteLimit[] = [
  { name: 'pay', per: 'caller', points: 60, seconds: 60 },
  { name: 'pay-address', per: 'address', points: 120, seconds: 60 },
]

/** The routes of payments. A payment that is somebody else's is one that does not exist. */
export const paymentRoutes =
  (use: PaymentsUseCases, platform: Platform, defaultProvider: string): FastifyPluginAsyncTypebox =>
  async (app) => {
    const isOwn = makeIsOwn(platform)

    app.get(
      '/payments/:id',
      {
        schema: {
          operationId: 'getPayment',
          summary: 'A payment with its attempts and refunds; to staff with everything that is known of it',
          tags,
          params: Params,
          response: { 200: PaymentSchema },
        },
        config: { permission: 'payments:pay-own', refuses: ['payments.not-found'] },
      },
      async (request) => {
        const seen = await viewPayment(platform.db, request.params.id)
        const isStaffs = request.actor.permissions.has('payments:read')
        const isBuyers = seen !== undefined && isOwn(request.actor, seen.proof)
        if (!seen || !(isBuyers || isStaffs)) throw refuse('payments.not-found')
        const view = isBuyers ? seen.view : withoutPages(seen.view)
        return isStaffs ? { ...view, ...(await viewForStaff(platform.db, request.params.id)) } : view
      },
    )

    app.post(
      '/payments/:id/attempts',
      {
        schema: {
          operationId: 'attemptPayment',
          summary: 'Try to pay',
          description: 'A decline is an answer, not an error: the payment stays open and can be tried again.',
          tags,
          params: Params,
          body: AttemptBody,
          response: { 201: AttemptSchema },
        },
        config: {
          permission: 'payments:pay-own',
          idempotency: 'natural',
          refuses: [
            'payments.not-found',
            'payments.unknown-method',
            'payments.amount-too-small',
            'payments.attempt-in-progress',
            'payments.already-captured',
            'payments.already-authorised',
            'payments.cancelled',
            'payments.in-review',
            'payments.too-many-declines',
            'orders.hold-expired',
          ],
          limits: PAY_LIMITS,
        },
      },
      async (request, reply) => {
        const { id: paymentId } = request.params
        const replay = await use.attemptPayment(commandOf(request), {
          ...keyOf(request),
          ...receiptOf(platform, request, reply, attemptView),
          ...request.body,
          paymentId,
          isAllowed: (proof) => isOwn(request.actor, proof),
        })
        return sendReplay(reply, replay, paymentId)
      },
    )

    await app.register(staffRoutes(use, platform))
    await app.register(webhookRoutes(use, platform, defaultProvider))
  }

/** Webhooks are verified over their exact bytes, so here nothing parses the body first. */
const webhookRoutes =
  (use: PaymentsUseCases, { answerOne }: Platform, defaultProvider: string): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    const receive = (request: FastifyRequest, reply: FastifyReply, provider: string) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      return answerOne(request, reply, async (single) => {
        await use.takeWebhook(single, { provider, headers: request.headers, body })
        return noContent()
      })
    }
    // Providers send as many as there are payments, each signed: nothing of theirs is to be turned away.
    const config = {
      permission: 'public',
      refuses: ['payments.unknown-provider', 'payments.invalid-signature'],
      limits: [],
      neverShed: true,
    }
    const schema = (operationId: string, summary: string) => ({
      operationId,
      summary,
      description: 'Called by payment providers. The body is read raw and must carry a valid signature.',
      tags,
      response: { 204: Type.Null() },
    })

    app.post(
      '/payments/webhook',
      { schema: schema('receiveDefaultWebhook', "Receive a webhook of the shop's first provider"), config },
      (request, reply) => receive(request, reply, defaultProvider),
    )
    app.post(
      '/payments/webhook/:provider',
      {
        schema: {
          ...schema('receiveWebhook', 'Receive a webhook of a payment provider'),
          params: closed({ provider: Type.String({ pattern: '^[a-z]{1,30}$' }) }),
        },
        config,
      },
      (request, reply) => receive(request, reply, request.params.provider),
    )
  }

/** Whether the payment is the caller's: bought by their account, or theirs by the token of the order. */
const makeIsOwn =
  ({ guestTokens }: Platform) =>
  ({ kind, userId, orderToken }: Actor, { orderId, tokenVersion, buyerUserId }: Proof): boolean =>
    kind === 'system' ||
    (userId !== null && userId === buyerUserId) ||
    guestTokens.isGuestToken(orderId, tokenVersion, orderToken)
