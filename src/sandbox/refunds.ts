import { type Ledger, type SandboxPayment, type SandboxRefund, sandboxId } from './ledger.ts'
import { type Change, invalid, notNow, SandboxError } from './payments.ts'

/** How refunds of what was paid with a token begin, and what becomes of them; of any other token they succeed at once. */
const COURSES: Readonly<Record<string, readonly [SandboxRefund['status'], SandboxRefund['status']]>> = {
  tok_refund_pending: ['pending', 'succeeded'],
  tok_refund_fails: ['pending', 'failed'],
  tok_refund_returned: ['succeeded', 'failed'],
}

const courseOf = ({ token }: SandboxPayment) => COURSES[token ?? ''] ?? (['succeeded', 'succeeded'] as const)

/** What is the shop's of a payment: taken, and neither gone back nor with the buyer's bank. */
export const leftOf = ({ amountCaptured, amountRefunded, disputes }: SandboxPayment): number =>
  disputes.reduce((left, { status, amount }) => left - (status === 'won' ? 0 : amount), amountCaptured - amountRefunded)

/** Gives money back, never more than is left of what was taken. */
export function refundPayment(
  payment: SandboxPayment,
  { amount, metadata = {} }: { amount?: number; metadata?: Record<string, string> },
): Change {
  if (payment.status !== 'succeeded') throw notNow(payment, 'refunded')
  if (amount === undefined || !Number.isSafeInteger(amount) || amount < 1)
    throw invalid('amount must be a whole number above 0.')
  if (amount > leftOf(payment))
    throw new SandboxError(409, 'refund_exceeds_captured', 'More than is left of what was captured cannot be refunded.')
  const refund: SandboxRefund = {
    id: sandboxId('ref'),
    payment: payment.id,
    amount,
    currency: payment.currency,
    status: courseOf(payment)[0],
    metadata,
    createdAt: new Date().toISOString(),
  }
  return withRefunds(payment, [...payment.refunds, refund], refund)
}

/** The refunds that do not stay as they are. */
export const movingRefunds = (payment: SandboxPayment): readonly SandboxRefund[] => {
  const [first, last] = courseOf(payment)
  return first === last ? [] : payment.refunds.filter(({ status }) => status === first)
}

/** How a refund of this payment ends by itself. */
export const lastOf = (payment: SandboxPayment): SandboxRefund['status'] => courseOf(payment)[1]

/** What becomes of a refund later: sent, or failed, also after it was sent, which gives the money back to the shop. */
export function endRefund(payment: SandboxPayment, refund: SandboxRefund, status: unknown): Change {
  if (status !== 'succeeded' && status !== 'failed') throw invalid('outcome must be succeeded or failed.')
  if (refund.status === 'failed' || refund.status === status)
    throw new SandboxError(409, 'refund_unexpected_state', `A refund that is ${refund.status} cannot be ${status}.`)
  const ended: SandboxRefund = { ...refund, status }
  const refunds = payment.refunds.map((one) => (one.id === ended.id ? ended : one))
  return withRefunds(payment, refunds, ended)
}

/** Ends the refund of this id by hand. */
export function endRefundOf(ledger: Ledger, id: string, { outcome }: { outcome?: unknown }): Change {
  const payment = ledger.ofPart(id)
  const refund = payment?.refunds.find((one) => one.id === id)
  if (!payment || !refund) throw new SandboxError(404, 'not_found', 'No such refund.')
  return endRefund(payment, refund, outcome)
}

function withRefunds(payment: SandboxPayment, refunds: readonly SandboxRefund[], refund: SandboxRefund): Change {
  const amountRefunded = refunds.reduce((sum, { status, amount }) => sum + (status === 'failed' ? 0 : amount), 0)
  return { payment: { ...payment, refunds, amountRefunded }, refund, tell: `refund.${refund.status}` }
}
