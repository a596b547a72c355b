import { openDispute } from './disputes.ts'
import type { SandboxPayment } from './ledger.ts'
import { type Change, cancelPayment, succeed, type Timing } from './payments.ts'
import { endRefund, lastOf, leftOf, movingRefunds } from './refunds.ts'

/** What will happen to a payment if nothing else does before. */
export type Coming = { readonly name: string; readonly afterMs: number; change(payment: SandboxPayment): Change }

/** All that is still to come of a payment without anybody asking for it, each with a name of its own. */
export function comingOf(payment: SandboxPayment, timing: Timing): Coming[] {
  const { id, status, token, authorisedUntil, disputes } = payment
  const afterMs = timing.processingMs
  const coming: Coming[] = movingRefunds(payment).map((refund) => ({
    name: refund.id,
    afterMs: timing.refundMs,
    change: (now) => endRefund(now, refund, lastOf(now)),
  }))
  if (status === 'processing') coming.push({ name: `${id} ends`, afterMs, change: (now) => succeed(now, timing) })
  if (status === 'requires_capture' && authorisedUntil !== null)
    coming.push({
      name: `${id} lapses`,
      afterMs: Math.max(0, Date.parse(authorisedUntil) - Date.now()),
      change: cancelPayment,
    })
  if (status === 'succeeded' && token === 'tok_dispute' && disputes.length === 0 && leftOf(payment) > 0)
    coming.push({ name: `${id} is disputed`, afterMs, change: (now) => openDispute(now, {}) })
  return coming
}
