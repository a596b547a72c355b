import type { PaymentId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type Attempt, isLive } from '../domain/attempt.ts'
import { type Closing, type ClosingLimits, type ClosingReason, close, type Payment } from '../domain/payment.ts'
import type { SaveChanges } from './changes.ts'

export type ClosePayments = (
  work: Work,
  payments: readonly PaymentId[],
  reason: ClosingReason,
) => Promise<Map<PaymentId, Closing>>

export type ClosePaymentsNeeds = {
  limits: ClosingLimits
  lockPayments(work: Work, ids: readonly PaymentId[]): Promise<Payment[]>
  attemptsOf(work: Work, payments: readonly PaymentId[], named: readonly []): Promise<Attempt[]>
  saveChanges: SaveChanges
}

/** Closes payments whose orders expired or were cancelled, each with its outcome: see `close` in domain/payment.ts. */
export const closePayments =
  (needs: ClosePaymentsNeeds): ClosePayments =>
  async (work, ids, reason) => {
    const payments = await needs.lockPayments(work, ids)
    const live = new Map((await needs.attemptsOf(work, ids, [])).filter(isLive).map((one) => [one.paymentId, one]))
    const closed = payments.map((payment) => ({
      before: payment,
      ...close(payment, live.get(payment.id), reason, work.now, needs.limits),
    }))
    await needs.saveChanges(work, {
      payments: closed.filter(({ before, payment }) => payment !== before).map(({ payment }) => payment),
    })
    work.emit(...closed.flatMap(({ events }) => events))
    return new Map(closed.map(({ payment, closing }) => [payment.id, closing]))
  }
