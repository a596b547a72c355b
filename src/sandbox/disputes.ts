import { type Ledger, type SandboxDispute, type SandboxPayment, sandboxId } from './ledger.ts'
import { type Change, invalid, notNow, SandboxError } from './payments.ts'
import { leftOf } from './refunds.ts'

/** The buyer's bank takes the money, or a part of it, until the dispute is closed: never more than is left. */
export function openDispute(
  payment: SandboxPayment,
  { amount = leftOf(payment), reason = 'fraudulent' }: { amount?: number; reason?: string },
): Change {
  if (payment.status !== 'succeeded') throw notNow(payment, 'disputed')
  if (!Number.isSafeInteger(amount) || amount < 1 || amount > leftOf(payment))
    throw invalid('amount must be 1 to what is left of the payment.')
  if (typeof reason !== 'string' || !/^[a-z_]{1,40}$/.test(reason)) throw invalid('reason must be words_like_this.')
  const dispute: SandboxDispute = {
    id: sandboxId('dis'),
    payment: payment.id,
    amount,
    currency: payment.currency,
    reason,
    status: 'open',
    createdAt: new Date().toISOString(),
  }
  return { payment: { ...payment, disputes: [...payment.disputes, dispute] }, dispute, tell: 'dispute.opened' }
}

/** The bank has decided: won, the money is the shop's again; lost, it is the buyer's. Once. */
export function closeDispute(ledger: Ledger, id: string, { outcome }: { outcome?: unknown }): Change {
  const payment = ledger.ofPart(id)
  const open = payment?.disputes.find((dispute) => dispute.id === id)
  if (!payment || !open) throw new SandboxError(404, 'not_found', 'No such dispute.')
  if (outcome !== 'won' && outcome !== 'lost') throw invalid('outcome must be won or lost.')
  if (open.status !== 'open')
    throw new SandboxError(409, 'dispute_unexpected_state', `A dispute that is ${open.status} cannot be closed.`)
  const dispute: SandboxDispute = { ...open, status: outcome }
  const disputes = payment.disputes.map((one) => (one.id === id ? dispute : one))
  return { payment: { ...payment, disputes }, dispute, tell: `dispute.${outcome}` }
}
