import { type Static, Type } from 'typebox'
import {
  CurrencySchema,
  closed,
  idSchema,
  MoneySchema,
  named,
  nullable,
  oneOf,
  TimeSchema,
  textSchema,
} from '#platform/http/schemas.ts'
import type { Decision } from '../domain/review.ts'
import type { AttemptView, CaptureView, PaymentView, RefundView } from './payment-views.ts'
import { staffFields } from './staff-schemas.ts'

const DeclineSchema = closed({
  code: Type.String({
    description:
      'Stable; what a shop front can act on. Let the buyer mend it: `incorrect-cvc`, `incorrect-number`, `incorrect-expiry`, ' +
      '`incorrect-address`, `authentication-required`, `authentication-failed`. Ask for another card: `card-declined`, ' +
      '`insufficient-funds`, `limit-exceeded`, `expired-card`, `card-not-supported`, `invalid-token`. The same again, later: ' +
      '`processing-error`, `not-received`, `provider-unavailable`. Offer another way to pay: `do-not-retry`, ' +
      '`amount-not-accepted`, `not-accepted`. Nothing to do: `already-captured`, `cancelled`. There may be more.',
  }),
  message: Type.String({ description: 'Words for the buyer.' }),
  retryable: Type.Boolean(),
})

export const AttemptSchema = named(
  'PaymentAttempt',
  closed({
    id: idSchema('att'),
    paymentId: idSchema('pay'),
    status: oneOf<AttemptView['status']>('processing', 'requiresAction', 'succeeded', 'declined', 'cancelled'),
    nextAction: Type.Optional(
      closed({
        type: oneOf<'redirect' | 'sdk'>('redirect', 'sdk'),
        url: Type.Optional(
          Type.String({ description: "Of `redirect`: the provider's page where the buyer approves." }),
        ),
      }),
    ),
    clientSecret: Type.Optional(
      Type.String({
        description: "What the provider's script on the buyer's device goes on with. Only in this answer.",
      }),
    ),
    decline: Type.Optional(DeclineSchema),
    createdAt: TimeSchema,
  }),
)

export const CaptureSchema = named(
  'Capture',
  closed({
    id: idSchema('cap'),
    paymentId: idSchema('pay'),
    status: oneOf<CaptureView['status']>('pending', 'succeeded', 'failed'),
    amount: MoneySchema,
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

export const PaymentStatusSchema = oneOf<PaymentView['status']>(
  ...(['open', 'authorised', 'captured', 'cancelled', 'review', 'disputed', 'lost'] as const),
)

export const PaymentSchema = named(
  'Payment',
  closed({
    id: idSchema('pay'),
    orderId: idSchema('ord'),
    status: PaymentStatusSchema,
    amount: MoneySchema,
    captured: MoneySchema,
    refunded: MoneySchema,
    payableUntil: TimeSchema,
    attempts: Type.Array(AttemptSchema),
    refunds: Type.Array(RefundSchema),
    ...staffFields,
  }),
)

export const PaymentSummarySchema = named(
  'PaymentSummary',
  closed({
    id: idSchema('pay'),
    orderId: idSchema('ord'),
    orderNumber: Type.String(),
    status: PaymentStatusSchema,
    amount: MoneySchema,
    captured: MoneySchema,
    refunded: MoneySchema,
    provider: nullable(Type.String()),
    reviewReason: nullable(Type.String()),
    disputed: Type.Boolean({ description: 'Whether a bank ever wanted the money back.' }),
    authorisedUntil: nullable(TimeSchema),
    openedAt: TimeSchema,
  }),
)
export type PaymentSummary = Static<typeof PaymentSummarySchema>

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

const AmountBody = closed({
  amountMinor: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  currency: CurrencySchema,
})

export const CaptureBody = named('NewCapture', closed({ amount: Type.Optional(AmountBody) }))

export const ReceiptBody = named(
  'NewReceipt',
  closed({
    amount: AmountBody,
    reference: Type.Optional(textSchema(200)),
    receivedAt: Type.Optional(TimeSchema),
  }),
)

export const ReviewBody = named(
  'ReviewDecision',
  closed({
    decision: Type.Unsafe<Decision>({
      type: 'string',
      enum: ['accept', 'refund', 'dismiss'],
      description:
        '`accept` takes the money for this payment though it is less, `refund` sends it back, `dismiss` moves nothing.',
    }),
    reason: textSchema(500),
  }),
)

export const RefundBody = named(
  'NewRefund',
  closed({
    amount: Type.Optional(AmountBody),
    lines: Type.Optional(
      Type.Array(
        closed({
          itemId: idSchema('item'),
          quantity: Type.Number({ minimum: 1, maximum: 9999, multipleOf: 1 }),
          restock: Type.Optional(
            Type.Boolean({
              default: false,
              description:
                'Also puts the units on sale again: those that have not shipped come off the order, the others count as returned.',
            }),
          ),
        }),
        { minItems: 1, maxItems: 100 },
      ),
    ),
    shipping: Type.Optional(
      Type.Union([
        Type.Literal(true, { description: 'All that is left of what was paid for it.' }),
        closed({ amount: AmountBody }),
      ]),
    ),
    reason: textSchema(500),
  }),
)
