import { type Draft, type StripeObject, stripeId } from './books.ts'
import { type Card, paymentMethodOf } from './cards.ts'
import { openDispute } from './disputes.ts'
import { moneyOf } from './ledger.ts'

const AUTHORISED_FOR_SECONDS = 7 * 24 * 3600

/** What the card's bank answers, at last: money, its authorisation, or neither. The intent is told accordingly. */
export function settle(draft: Draft, intent: StripeObject, card: Card): StripeObject {
  if (card.decline) return decline(draft, intent, card.decline)
  const manual = intent.capture_method === 'manual'
  const charge = draft.put({
    ...chargeOf(draft, intent),
    captured: !manual,
    amount_captured: manual ? 0 : intent.amount,
    paid: true,
    status: 'succeeded',
    payment_method_details: {
      type: 'card',
      card: {
        ...paymentMethodOf(intent.payment_method).card,
        ...(manual ? { capture_before: draft.now() + AUTHORISED_FOR_SECONDS } : {}),
      },
    },
  })
  draft.tell('charge.succeeded', charge)
  const settled = draft.put({
    ...intent,
    status: manual ? 'requires_capture' : 'succeeded',
    amount_capturable: manual ? intent.amount : 0,
    amount_received: manual ? 0 : intent.amount,
    latest_charge: charge.id,
    next_action: null,
    last_payment_error: null,
  })
  draft.tell(manual ? 'payment_intent.amount_capturable_updated' : 'payment_intent.succeeded', settled)
  if (!manual) {
    draft.post({ ...moneyOf(charge), cause: charge.id, amount: intent.amount, from: 'buyer', to: 'balance' })
    if (card.disputed) openDispute(draft, charge, {})
  }
  return settled
}

/** The bank says no: the charge has failed, and the intent waits for another payment method. */
function decline(draft: Draft, intent: StripeObject, why: NonNullable<Card['decline']>): StripeObject {
  const charge = draft.put({
    ...chargeOf(draft, intent),
    status: 'failed',
    failure_code: why.code,
    failure_message: why.message,
  })
  draft.tell('charge.failed', charge)
  return fail(
    draft,
    { ...intent, latest_charge: charge.id },
    {
      type: 'card_error',
      code: why.code,
      ...(why.declineCode === undefined ? {} : { decline_code: why.declineCode }),
      charge: charge.id,
      message: why.message,
    },
  )
}

/** Back to `requires_payment_method`, with the reason on the intent. */
export function fail(
  draft: Draft,
  intent: StripeObject,
  error: { code: string; [more: string]: unknown },
): StripeObject {
  const failed = draft.put({
    ...intent,
    status: 'requires_payment_method',
    payment_method: null,
    next_action: null,
    last_payment_error: {
      ...error,
      doc_url: `https://stripe.com/docs/error-codes/${error.code.replaceAll('_', '-')}`,
      payment_method: paymentMethodOf(intent.payment_method),
    },
  })
  draft.tell('payment_intent.payment_failed', failed)
  return failed
}

/** Takes authorised money, all or a part; what is left of the authorisation is let go, and is no refund. */
export function takeAuthorised(draft: Draft, intent: StripeObject, amount: number): StripeObject {
  const charge = draft.put({
    ...draft.read('charge', intent.latest_charge, 'charge'),
    captured: true,
    amount_captured: amount,
  })
  draft.tell('charge.captured', charge)
  draft.post({ ...moneyOf(charge), cause: charge.id, amount, from: 'buyer', to: 'balance' })
  const captured = draft.put({ ...intent, status: 'succeeded', amount_capturable: 0, amount_received: amount })
  draft.tell('payment_intent.succeeded', captured)
  return captured
}

const chargeOf = (draft: Draft, intent: StripeObject): StripeObject => ({
  id: stripeId('ch'),
  object: 'charge',
  amount: intent.amount,
  amount_captured: 0,
  amount_refunded: 0,
  balance_transaction: null,
  captured: false,
  created: draft.now(),
  currency: intent.currency,
  description: intent.description,
  disputed: false,
  failure_code: null,
  failure_message: null,
  livemode: false,
  metadata: intent.metadata,
  paid: false,
  payment_intent: intent.id,
  payment_method: intent.payment_method,
  payment_method_details: { type: 'card', card: paymentMethodOf(intent.payment_method).card },
  refunded: false,
  status: 'pending',
})
