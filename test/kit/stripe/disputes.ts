import { type Draft, type StripeObject, stripeId } from './books.ts'
import { refused } from './failure.ts'
import { moneyOf } from './ledger.ts'

/** The buyer's bank wants the money of a charge back, all that was not refunded or less: it is withheld from now on. */
export function openDispute(
  draft: Draft,
  charge: StripeObject,
  wanted: { readonly amount?: number; readonly reason?: string },
): StripeObject {
  const left = charge.amount_captured - charge.amount_refunded
  const amount = wanted.amount ?? left
  if (!charge.captured || amount < 1 || amount > left)
    throw refused('amount_too_large', `There are ${left} to dispute on ${charge.id}.`)
  const dispute = draft.put({
    id: stripeId('dp'),
    object: 'dispute',
    amount,
    balance_transactions: [],
    charge: charge.id,
    created: draft.now(),
    currency: charge.currency,
    evidence_details: {
      due_by: draft.now() + 9 * 24 * 3600,
      has_evidence: false,
      past_due: false,
      submission_count: 0,
    },
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent: charge.payment_intent,
    reason: wanted.reason ?? 'fraudulent',
    status: 'needs_response',
  })
  draft.put({ ...charge, disputed: true })
  draft.post({ ...moneyOf(charge), cause: dispute.id, amount, from: 'balance', to: 'disputed' })
  draft.tell('charge.dispute.created', dispute)
  draft.tell('charge.dispute.funds_withdrawn', dispute)
  return dispute
}

/** The bank has decided: a dispute that is won brings the money back, one that is lost takes it for good. */
export function closeDispute(draft: Draft, dispute: StripeObject, verdict: 'won' | 'lost'): StripeObject {
  if (dispute.status === 'won' || dispute.status === 'lost') return dispute
  draft.post({
    ...moneyOf(dispute),
    cause: dispute.id,
    amount: dispute.amount,
    from: 'disputed',
    to: verdict === 'won' ? 'balance' : 'lost',
  })
  const closed = draft.put({ ...dispute, status: verdict })
  draft.tell('charge.dispute.closed', closed)
  if (verdict === 'won') draft.tell('charge.dispute.funds_reinstated', closed)
  return closed
}
