import type { DomainEvent } from '#kernel/event.ts'
import { entryOfCapture, type LedgerEntry } from './ledger.ts'
import { event, isObjectOf, leaveObject, type Payment } from './payment.ts'
import { refuse } from './problems.ts'
import { type Capture, captured, type Held } from './settle.ts'

/** Take it as this payment's money though it is less; send it back; or it is none of this payment's business. */
export type Decision = 'accept' | 'refund' | 'dismiss'

/**
 * Ends a review as a person decided. `accept` takes the money for the payment, `refund` books it as surplus, to be sent
 * back, `dismiss` moves nothing. Unless it was accepted, the payment is open again, with another object at the provider.
 * Refuses payments.not-in-review, .nothing-to-send-back, and .cannot-accept for another currency or more than is owed.
 */
export function decide(
  payment: Payment,
  held: Held | undefined,
  decision: Decision,
): { payment: Payment; capture: Capture | null; entries: readonly LedgerEntry[]; events: readonly DomainEvent[] } {
  if (payment.reviewReason === null || !held) throw refuse('payments.not-in-review')
  const { paymentId, provider, providerPaymentId, taken } = held
  const over = { ...payment, reviewReason: null }
  const ended = event('payments.review-ended.v1', payment, { decision })
  if (decision === 'accept') {
    refuseUnacceptable(payment, held)
    const capture: Capture = { paymentId, provider, providerPaymentId, amount: taken, surplus: false }
    return {
      payment: captured({ ...over, captureMinor: taken.amountMinor }, capture),
      capture,
      entries: [entryOfCapture(capture)],
      events: [event('payments.captured.v1', payment, taken), ended],
    }
  }
  const reopened: Payment =
    payment.status === 'review' ? { ...over, status: payment.closingReason === null ? 'open' : 'cancelled' } : over
  const isOwn = isObjectOf(payment, { provider, id: providerPaymentId })
  const left = isOwn && payment.status === 'review' ? leaveObject(reopened) : reopened
  if (decision === 'dismiss') return { payment: left, capture: null, entries: [], events: [ended] }
  if (taken.amountMinor === 0) throw refuse('payments.nothing-to-send-back')
  const capture: Capture = { paymentId, provider, providerPaymentId, amount: taken, surplus: true }
  return { payment: left, capture, entries: [entryOfCapture(capture)], events: [ended] }
}

function refuseUnacceptable(payment: Payment, { taken }: Held): void {
  const fits =
    payment.status === 'review' &&
    taken.currency === payment.amount.currency &&
    taken.amountMinor > 0 &&
    taken.amountMinor <= payment.amount.amountMinor
  if (!fits) throw refuse('payments.cannot-accept', undefined, { owed: payment.amount, taken })
}
