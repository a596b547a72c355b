import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { PaymentId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { created, idempotencyKeyOf, ok } from '#platform/http/answer.ts'
import { closed, idSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import { refuse as refusePlatform } from '#platform/problems.ts'
import type { PaymentsUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { captureView, type PaymentView, refundView, viewPayment, withoutPages } from './payment-views.ts'
import { commandOf, keyOf, receiptOf, sendReplay } from './replays.ts'
import {
  CaptureBody,
  CaptureSchema,
  PaymentSchema,
  ReceiptBody,
  RefundBody,
  RefundSchema,
  ReviewBody,
} from './schemas.ts'

const Params = closed({ id: idSchema('pay') })
const tags = ['payments']

async function show(work: Work, id: PaymentId): Promise<PaymentView> {
  const seen = await viewPayment(work.tx, id)
  if (!seen) throw refuse('payments.not-found')
  return withoutPages(seen.view)
}

/** Payments as staff work on them: take and record money, give it back, decide about money that does not fit. */
export const staffRoutes =
  (use: PaymentsUseCases, platform: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/payments/:id/capture',
      {
        schema: {
          operationId: 'capturePayment',
          summary: 'Take money that was authorised',
          description:
            'All of it or a part, once: what is not taken is let go. `pending` when the provider has not confirmed it yet, `failed` when the authorisation has lapsed there.',
          tags,
          params: Params,
          body: CaptureBody,
          response: { 201: CaptureSchema },
        },
        config: {
          permission: 'payments:capture',
          idempotency: 'natural',
          refuses: [
            'payments.not-found',
            'payments.already-captured',
            'payments.in-review',
            'payments.cancelled',
            'payments.not-authorised',
            'payments.capture-in-progress',
            'payments.capture-exceeds-authorised',
            'payments.currency-mismatch',
          ],
        },
      },
      async (request, reply) => {
        const { id: paymentId } = request.params
        const replay = await use.capturePayment(commandOf(request), {
          ...keyOf(request),
          ...receiptOf(platform, request, reply, captureView),
          ...request.body,
          paymentId,
        })
        return sendReplay(reply, replay, paymentId)
      },
    )

    app.post(
      '/payments/:id/refunds',
      {
        schema: {
          operationId: 'refundPayment',
          summary: 'Give money back',
          description:
            'An `amount` of a captured payment, or `lines` and `shipping` of its order: what those are worth is counted, so that parts sum to what was paid. When the provider does not make it, units and money can be refunded again; goods that were restocked stay where they are. `pending` when the provider has not confirmed it yet.',
          tags,
          params: Params,
          body: RefundBody,
          response: { 201: RefundSchema },
        },
        config: {
          permission: 'payments:refund',
          idempotency: 'natural',
          refuses: [
            'payments.not-found',
            'payments.not-captured',
            'payments.disputed',
            'payments.refund-exceeds-captured',
            'payments.currency-mismatch',
            'orders.not-found',
            'orders.item-not-found',
            'orders.too-many-units',
            'orders.refund-exceeds-shipping',
            'orders.nothing-to-refund',
            'orders.invalid-transition',
          ],
        },
      },
      async (request, reply) => {
        const { id: paymentId } = request.params
        const { amount, lines, shipping } = request.body
        if ((amount === undefined) === (lines === undefined && shipping === undefined))
          throw refusePlatform('platform.invalid', 'Name an amount, or lines and shipping: one of the two.')
        const replay = await use.refundPayment(commandOf(request), {
          ...keyOf(request),
          ...receiptOf(platform, request, reply, refundView),
          ...request.body,
          paymentId,
        })
        return sendReplay(reply, replay, paymentId)
      },
    )

    app.post(
      '/payments/:id/receipts',
      {
        schema: {
          operationId: 'recordReceipt',
          summary: 'Say that the money came in by bank transfer, invoice or cash',
          description:
            'Once, and all of it: the order is paid. What the payment has at another provider is cancelled there first. For an order that has lapsed it is money that lands late: its goods are held again, or it is refunded.',
          tags,
          params: Params,
          body: ReceiptBody,
          response: { 201: PaymentSchema },
        },
        config: {
          permission: 'payments:record',
          idempotency: 'required',
          refuses: [
            'payments.not-found',
            'payments.already-captured',
            'payments.in-review',
            'payments.not-recordable',
            'payments.attempt-in-progress',
            'payments.currency-mismatch',
            'payments.amount-mismatch',
            'payments.not-received-yet',
          ],
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const { receivedAt, ...receipt } = request.body
        idempotencyKeyOf(request)
        await use.prepareReceipt(commandOf(request), id)
        return platform.answer(request, reply, async (work) => {
          const time = receivedAt === undefined ? {} : { receivedAt: new Date(receivedAt) }
          await use.recordReceipt(work, id, { ...receipt, ...time })
          return created(await show(work, id), `/v1/payments/${id}`)
        })
      },
    )

    app.post(
      '/payments/:id/review',
      {
        schema: {
          operationId: 'reviewPayment',
          summary: 'Decide about money that does not fit its payment',
          description:
            'About the oldest object at a provider that waits; when others wait, the payment stays in review.',
          tags,
          params: Params,
          body: ReviewBody,
          response: { 200: PaymentSchema },
        },
        config: {
          permission: 'payments:review',
          idempotency: 'required',
          refuses: [
            'payments.not-found',
            'payments.not-in-review',
            'payments.cannot-accept',
            'payments.nothing-to-send-back',
          ],
        },
      },
      (request, reply) =>
        platform.answer(request, reply, async (work) => {
          await use.reviewPayment(work, request.params.id, request.body)
          return ok(await show(work, request.params.id))
        }),
    )
  }
