import { type Draft, type Outcome, type StripeObject, stripeId } from './books.ts'
import { cardOf } from './cards.ts'
import { checkUnits } from './currencies.ts'
import { amountOf, invalid, known, metadataOf, oneOf, refused } from './failure.ts'
import { type Params, text } from './form.ts'
import { moneyOf } from './ledger.ts'

/** Sends money back of a payment or a charge: all that is left of it, or less. Some cards take their time, or fail later. */
export function createRefund(draft: Draft, params: Params): Outcome {
  known(params, 'payment_intent', 'charge', 'amount', 'metadata', 'reason')
  const amount = amountOf(params, 'amount')
  const reason = oneOf(params, 'reason', 'duplicate', 'fraudulent', 'requested_by_customer')
  const charge = chargeIn(draft, params)
  const left = charge.amount_captured - charge.amount_refunded
  if (
    charge.disputed &&
    draft.all('dispute').some((dispute) => dispute.charge === charge.id && dispute.status !== 'won')
  )
    throw refused('charge_disputed', `Charge ${charge.id} has been charged back; cannot issue a refund.`)
  if (left === 0) throw refused('charge_already_refunded', `Charge ${charge.id} has already been refunded.`)
  checkUnits(charge.currency, amount ?? left)
  if ((amount ?? left) > left)
    throw refused(
      'amount_too_large',
      `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
      { param: 'amount' },
    )
  const pending = cardOf(charge.payment_method)?.refunds === 'pending'
  const refund = draft.put({
    id: stripeId('re'),
    object: 'refund',
    amount: amount ?? left,
    balance_transaction: null,
    charge: charge.id,
    created: draft.now(),
    currency: charge.currency,
    metadata: metadataOf({}, params),
    payment_intent: charge.payment_intent,
    reason: reason ?? null,
    receipt_number: null,
    status: pending ? 'pending' : 'succeeded',
  })
  draft.post({
    ...moneyOf(charge),
    cause: refund.id,
    amount: refund.amount,
    from: 'balance',
    to: pending ? 'refunds-pending' : 'buyer',
  })
  const refunded = draft.put(withRefunded(charge, refund.amount))
  draft.tell('charge.refunded', refunded)
  draft.tell('refund.created', refund)
  return { status: 200, body: refund }
}

/** A pending refund has arrived. */
export function finishRefund(draft: Draft, refund: StripeObject): StripeObject {
  if (refund.status !== 'pending') return refund
  const charge = draft.read('charge', refund.charge, 'charge')
  draft.post({
    ...moneyOf(charge),
    cause: refund.id,
    amount: refund.amount,
    from: 'refunds-pending',
    to: 'buyer',
  })
  return told(draft, draft.put({ ...refund, status: 'succeeded' }))
}

/** A refund did not arrive, also one that had succeeded: the money is the shop's again. */
export function failRefund(draft: Draft, refund: StripeObject): StripeObject {
  if (refund.status === 'failed') return refund
  const charge = draft.read('charge', refund.charge, 'charge')
  draft.post({
    ...moneyOf(charge),
    cause: refund.id,
    amount: refund.amount,
    from: refund.status === 'pending' ? 'refunds-pending' : 'buyer',
    to: 'balance',
  })
  draft.put(withRefunded(charge, -refund.amount))
  const failed = draft.put({ ...refund, status: 'failed', failure_reason: 'lost_or_stolen_card' })
  draft.tell('refund.failed', failed)
  return told(draft, failed)
}

/** Changes the metadata of a refund. */
export function updateRefund(draft: Draft, params: Params, _url: string, id: string): Outcome {
  known(params, 'metadata')
  const refund = draft.read('refund', id, 'refund')
  const body = draft.put({ ...refund, metadata: metadataOf(refund.metadata, params) })
  return { status: 200, body: told(draft, body) }
}

function told(draft: Draft, refund: StripeObject): StripeObject {
  draft.tell('refund.updated', refund)
  draft.tell('charge.refund.updated', refund)
  return refund
}

const withRefunded = (charge: StripeObject, amount: number): StripeObject => ({
  ...charge,
  amount_refunded: charge.amount_refunded + amount,
  refunded: charge.amount_refunded + amount === charge.amount_captured,
})

function chargeIn(draft: Draft, params: Params): StripeObject {
  const [intentId, chargeId] = [text(params, 'payment_intent'), text(params, 'charge')]
  if (intentId === undefined && chargeId === undefined)
    throw invalid(
      'One of the following params should be provided: payment_intent or charge.',
      'charge',
      'parameter_missing',
    )
  const intent = intentId === undefined ? undefined : draft.read('payment_intent', intentId, 'payment_intent', 404)
  const id = chargeId ?? intent?.latest_charge
  if (id === null || id === undefined)
    throw refused(
      'payment_intent_unexpected_state',
      `This PaymentIntent (${intentId}) does not have a successful charge to refund.`,
      { payment_intent: intent },
    )
  const charge = draft.read('charge', id, 'charge')
  if (!charge.paid || !charge.captured)
    throw refused(
      'payment_intent_unexpected_state',
      `This PaymentIntent (${charge.payment_intent}) does not have a successful charge to refund.`,
      { payment_intent: intent },
    )
  return charge
}
