import type { PaymentId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type Attempt, isLive } from '../domain/attempt.ts'
import { type Closing, close } from '../domain/close.ts'
import type { ClosingReason, Payment } from '../domain/payment.ts'
import type { SaveChanges } from './changes.ts'
import type { PaymentProviders } from './payment-provider.ts'

export type ClosePayments = (
  work: Work,
  payments: readonly PaymentId[],
  reason: ClosingReason,
) => Promise<Map<PaymentId, Closing>>

export type ClosePaymentsNeeds = {
  readonly providers: PaymentProviders
  lockPayments(work: Work, ids: readonly PaymentId[]): Promise<Payment[]>
  attemptsOf(work: Work, payments: readonly PaymentId[], named: readonly []): Promise<Attempt[]>
  saveChanges: SaveChanges
}

/** Closes payments whose orders expired or were cancelled, each with its outcome: see `close` in domain/close.ts. */
export const closePayments =
  (needs: ClosePaymentsNeeds): ClosePayments =>
  async (work, ids, reason) => {
    const payments = await needs.lockPayments(work, ids)
    const live = new Map((await needs.attemptsOf(work, ids, [])).filter(isLive).map((one) => [one.paymentId, one]))
    const closed = payments.map((payment) => {
      const { processingMaxMinutes = 0, cancelsProcessing = false } = needs.providers.get(payment.provider ?? '') ?? {}
      const limits = { processingMaxMinutes, cancelsProcessing }
      return { before: payment, ...close(payment, live.get(payment.id), reason, work.now, limits) }
    })
    await needs.saveChanges(work, {
      payments: closed.filter(({ before, payment }) => payment !== before).map(({ payment }) => payment),
    })
    work.emit(...closed.flatMap(({ events }) => events))
    return new Map(closed.map(({ payment, closing }) => [payment.id, closing]))
  }
