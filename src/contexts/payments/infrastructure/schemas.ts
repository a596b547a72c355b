import { Type } from 'typebox'
import {
  CurrencySchema,
  closed,
  idSchema,
  MoneySchema,
  named,
  oneOf,
  TimeSchema,
  textSchema,
} from '#platform/http/schemas.ts'
import type { AttemptView, PaymentView, RefundView } from './payment-views.ts'

const DeclineSchema = closed({
  code: Type.String({ description: 'Stable; what a shop front can act on.' }),
  message: Type.String({ description: 'Words for the buyer.' }),
  retryable: Type.Boolean(),
})

export const AttemptSchema = named(
  'PaymentAttempt',
  closed({
    id: idSchema('att'),
    paymentId: idSchema('pay'),
    status: oneOf<AttemptView['status']>('processing', 'requiresAction', 'succeeded', 'declined', 'cancelled'),
    nextAction: Type.Optional(closed({ type: Type.Literal('redirect'), url: Type.String() })),
    decline: Type.Optional(DeclineSchema),
    createdAt: TimeSchema,
  }),
)

export const RefundSchema = named(
  'Refund',
  closed({
    id: idSchema('ref'),
    paymentId: idSchema('pay'),
    status: oneOf<RefundView['status']>('pending', 'succeeded', 'failed'),
    amount: MoneySchema,
    createdAt: TimeSchema,
  }),
)

export const PaymentSchema = named(
  'Payment',
  closed({
    id: idSchema('pay'),
    orderId: idSchema('ord'),
    status: oneOf<PaymentView['status']>('open', 'authorised', 'captured', 'cancelled', 'review', 'disputed', 'lost'),
    amount: MoneySchema,
    captured: MoneySchema,
    refunded: MoneySchema,
    payableUntil: TimeSchema,
    attempts: Type.Array(AttemptSchema),
    refunds: Type.Array(RefundSchema),
  }),
)

export const AttemptBody = named(
  'NewPaymentAttempt',
  closed({
    method: textSchema(40),
    token: Type.String({
      minLength: 1,
      maxLength: 255,
      description: "The provider's token for what the buyer pays with; never a card number.",
    }),
    returnUrl: Type.Optional(Type.String({ format: 'uri', pattern: '^https?://', maxLength: 2000 })),
  }),
)

export const RefundBody = named(
  'NewRefund',
  closed({
    amount: closed({
      amountMinor: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      currency: CurrencySchema,
    }),
    reason: textSchema(500),
  }),
)
