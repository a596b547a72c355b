import type { PaymentId, RefundId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Attempt } from '../domain/attempt.ts'
import { endLive } from '../domain/attempt.ts'
import type { Payment } from '../domain/payment.ts'
import { refuse } from '../domain/problems.ts'
import { surplusRefund } from '../domain/refund.ts'
import { type Decision, decide } from '../domain/review.ts'
import type { Held } from '../domain/settle.ts'
import type { SaveChanges } from './changes.ts'

export type ReviewNeeds = {
  newRefundId(): RefundId
  lockPayments(work: Work, ids: readonly PaymentId[]): Promise<Payment[]>
  attemptsOf(work: Work, payments: readonly PaymentId[], named: readonly []): Promise<Attempt[]>
  /** The oldest object of a locked payment that waits for a decision, and whether others wait behind it. */
  undecided(work: Work, paymentId: PaymentId): Promise<{ held: Held; more: string | null } | undefined>
  /** Notes the decision about an object: it is not held again. */
  noteDecision(work: Work, held: Held, decision: Decision): Promise<void>
  saveChanges: SaveChanges
}

/**
 * Decides what becomes of money that does not fit its payment: `accept` it though it is less, `refund` it, or `dismiss` it
 * as none of the shop's business. Audited with its reason. Refuses payments.not-found and what `decide` refuses.
 */
export const reviewPayment =
  (needs: ReviewNeeds) =>
  async (
    work: Work,
    paymentId: PaymentId,
    { decision, reason }: { decision: Decision; reason: string },
  ): Promise<void> => {
    const [before] = await needs.lockPayments(work, [paymentId])
    if (!before) throw refuse('payments.not-found')
    const waiting = await needs.undecided(work, paymentId)
    const { payment, capture, entries, events } = decide(before, waiting?.held, decision)
    const held = waiting?.held as Held
    const [live] = (await needs.attemptsOf(work, [paymentId], [])).filter((attempt) => attempt.leaseUntil !== null)
    await needs.noteDecision(work, held, decision)
    await needs.saveChanges(work, {
      payments: [waiting?.more ? holdOn(payment, waiting.more) : payment],
      attempts: live ? [endLive(live, decision === 'accept', work.now)] : [],
      captures: capture ? [capture] : [],
      newRefunds: capture?.surplus
        ? [{ ...surplusRefund(capture, needs.newRefundId(), reason, work.now), leaseUntil: work.now }]
        : [],
      entries,
    })
    work.emit(...events)
    work.audit({
      action: 'payments.review',
      subject: paymentId,
      before: { status: before.status, capturedMinor: before.capturedMinor },
      after: { status: payment.status, capturedMinor: payment.capturedMinor, decision, object: held.providerPaymentId },
    })
  }

/** Another object waits: the review goes on. */
const holdOn = (payment: Payment, reviewReason: string): Payment => ({
  ...payment,
  reviewReason,
  status: payment.status === 'open' || payment.status === 'cancelled' ? 'review' : payment.status,
})
