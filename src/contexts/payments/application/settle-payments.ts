import type { AttemptId, PaymentId, RefundId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Attempt, Word } from '../domain/attempt.ts'
import { type Capture, type Payment, settle } from '../domain/payment.ts'
import { surplusRefund } from '../domain/refund.ts'
import type { KeptBytes, SaveChanges } from './changes.ts'

/** What was learned about one payment: from an attempt's answer, a webhook's object, or by asking. */
export type Finding = { readonly paymentId: PaymentId; readonly word: Word }

/** The attempt whose request is to be answered with the outcome; the answer is kept in the same transaction. */
export type OwnAnswer = { readonly attemptId: AttemptId; keep(attempt: Attempt): KeptBytes }

export type SettleNeeds = {
  newRefundId(): RefundId
  lockPayments(
    work: Work,
    ids: readonly PaymentId[],
    objects: readonly { provider: string; id: string }[],
  ): Promise<Payment[]>
  attemptsOf(work: Work, payments: readonly PaymentId[], named: readonly AttemptId[]): Promise<Attempt[]>
  /** Whether the books have the capture of this provider payment. */
  isBooked(work: Work, capture: Capture): Promise<boolean>
  saveChanges: SaveChanges
}
export type SettlePayments = (work: Work, findings: readonly Finding[], own?: OwnAnswer) => Promise<Buffer | undefined>

/**
 * The one way in which money that a provider took reaches the books, whatever proved it: attempt, webhook or healing.
 * Locks the payments in id order and takes each finding in turn. A second capture of an order is booked and goes back
 * as a refund of its own. Returns the bytes of `own`'s answer; throws for a finding that belongs to no payment.
 */
export const settlePayments =
  (needs: SettleNeeds): SettlePayments =>
  async (work, findings, own) => {
    const found = findings.flatMap(({ word }) => word.found ?? [])
    const payments = new Map(
      (
        await needs.lockPayments(
          work,
          findings.map(({ paymentId }) => paymentId),
          found,
        )
      ).map((one) => [one.id, one]),
    )
    const named = [...found.flatMap(({ attemptId }) => attemptId ?? []), ...(own ? [own.attemptId] : [])]
    const before = await needs.attemptsOf(work, [...payments.keys()], named)
    const attempts = new Map(before.map((attempt) => [attempt.id, attempt]))
    const changed = new Set<PaymentId>()
    const captures: Capture[] = []
    for (const { paymentId, word } of findings) {
      const payment = ownerOf(payments, word) ?? payments.get(paymentId)
      if (!payment) throw new Error(`There is no payment ${paymentId}.`)
      const its = [...attempts.values()].filter((attempt) => attempt.paymentId === payment.id)
      const settlement = settle(payment, its, word, work.now)
      for (const attempt of settlement.attempts) attempts.set(attempt.id, attempt)
      if (settlement.payment !== payment) changed.add(payment.id)
      payments.set(payment.id, settlement.payment)
      const { capture } = settlement
      // The payment itself tells its own capture; of a surplus one only the books know whether it was told before.
      const told = capture && (!isNew(capture, captures) || (capture.surplus && (await needs.isBooked(work, capture))))
      if (capture && !told) captures.push(capture)
      work.emit(...settlement.events)
    }
    const mine = own && attempts.get(own.attemptId)
    const kept = mine && own.keep(mine)
    await needs.saveChanges(work, {
      payments: [...changed].map((id) => payments.get(id) as Payment),
      attempts: [
        ...before
          .flatMap(({ id }) => attempts.get(id) ?? [])
          .filter((attempt) => attempt !== mine && !before.includes(attempt)),
        ...(mine && kept ? [{ ...mine, sealedAnswer: kept.sealed }] : []),
      ],
      captures,
      newRefunds: captures
        .filter(({ surplus }) => surplus)
        .map((capture) => ({ ...surplusRefund(capture, needs.newRefundId(), work.now), leaseUntil: work.now })),
    })
    return kept?.bytes
  }

/** The payment that already owns the provider's object: what the object says of itself comes second. */
const ownerOf = (payments: ReadonlyMap<PaymentId, Payment>, { found }: Word): Payment | undefined =>
  found && [...payments.values()].find((one) => one.provider === found.provider && one.providerPaymentId === found.id)

const isNew = (capture: Capture, captures: readonly Capture[]): boolean =>
  !captures.some((one) => one.provider === capture.provider && one.providerPaymentId === capture.providerPaymentId)
