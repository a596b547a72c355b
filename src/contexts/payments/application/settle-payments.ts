import type { AttemptId, PaymentId, RefundId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Attempt, Word } from '../domain/attempt.ts'
import { type CaptureRequest, endCapture } from '../domain/capture-request.ts'
import { type Dispute, learnDisputes } from '../domain/dispute.ts'
import { entryOfCapture, type LedgerEntry } from '../domain/ledger.ts'
import type { Payment } from '../domain/payment.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import { learnRefunds, type Refund, surplusRefund } from '../domain/refund.ts'
import { type Capture, type Held, settle, whatIsWrong } from '../domain/settle.ts'
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
    objects?: readonly { provider: string; id: string }[],
  ): Promise<Payment[]>
  attemptsOf(work: Work, payments: readonly PaymentId[], named: readonly AttemptId[]): Promise<Attempt[]>
  /** Whether the books have the capture of this provider payment. */
  isBooked(work: Work, capture: Capture): Promise<boolean>
  /** Whether somebody has decided that this object is not to pay this payment. */
  isJudged(work: Work, paymentId: PaymentId, object: { provider: string; id: string }): Promise<boolean>
  /** The capture of a locked payment that somebody asked for and that has not ended. */
  captureUnderWay(work: Work, paymentId: PaymentId): Promise<CaptureRequest | undefined>
  /** All refunds and disputes that the books have of a locked payment. */
  movementsOf(work: Work, paymentId: PaymentId): Promise<{ refunds: Refund[]; disputes: Dispute[] }>
  saveChanges: SaveChanges
}
export type SettlePayments = (work: Work, findings: readonly Finding[], own?: OwnAnswer) => Promise<Buffer | undefined>

/**
 * The one way in which money that a provider took, sent back or lost reaches the books, whatever proved it: attempt,
 * webhook or healing. Locks the payments in id order and takes each finding in turn. A second capture of an order is
 * booked and goes back as a refund of its own. A batch names each object once. Returns the bytes of `own`'s answer; throws
 * for a finding that belongs to no payment.
 */
export const settlePayments =
  (needs: SettleNeeds): SettlePayments =>
  async (work, findings, own) => {
    const found = findings.flatMap(({ word }) => word.found ?? [])
    const ids = findings.map(({ paymentId }) => paymentId)
    const locked = await needs.lockPayments(work, ids, found)
    const named = [...found.flatMap(({ attemptId }) => attemptId ?? []), ...(own ? [own.attemptId] : [])]
    const before = await needs.attemptsOf(
      work,
      locked.map(({ id }) => id),
      named,
    )
    const books = openBooks(locked, before)
    for (const { paymentId, word } of findings) {
      const payment = ownerOf(books.payments, word) ?? books.payments.get(paymentId)
      if (!payment) throw new Error(`There is no payment ${paymentId}.`)
      await settleOne(needs, work, books, payment, word)
    }
    const mine = own && books.attempts.get(own.attemptId)
    const kept = mine && own.keep(mine)
    const attempts = before.flatMap(({ id }) => books.attempts.get(id) ?? [])
    await needs.saveChanges(work, {
      ...books,
      payments: locked.flatMap((one) => {
        const after = books.payments.get(one.id)
        return after === undefined || after === one ? [] : [after]
      }),
      attempts: [
        ...attempts.filter((attempt) => attempt !== mine && !before.includes(attempt)),
        ...(mine && kept ? [{ ...mine, sealedAnswer: kept.sealed }] : []),
      ],
    })
    return kept?.bytes
  }

/** What the findings have changed so far. */
const openBooks = (payments: readonly Payment[], attempts: readonly Attempt[]) => ({
  payments: new Map(payments.map((one) => [one.id, one])),
  attempts: new Map(attempts.map((one) => [one.id, one])),
  captures: [] as Capture[],
  captureRequests: [] as CaptureRequest[],
  newRefunds: [] as (Refund & { leaseUntil: Date | null })[],
  refunds: [] as Refund[],
  disputes: [] as Dispute[],
  held: [] as Held[],
  entries: [] as LedgerEntry[],
})
type Books = ReturnType<typeof openBooks>

async function settleOne(needs: SettleNeeds, work: Work, books: Books, payment: Payment, word: Word): Promise<void> {
  const { found } = word
  const isMoney = found?.status === 'succeeded' || found?.status === 'authorised'
  const isWrong = isMoney && whatIsWrong(payment, found) !== undefined
  const isJudged = isWrong && (await needs.isJudged(work, payment.id, found))
  const its = [...books.attempts.values()].filter((attempt) => attempt.paymentId === payment.id)
  const settled = settle(payment, its, word, work.now, isJudged)
  for (const attempt of settled.attempts) books.attempts.set(attempt.id, attempt)
  books.payments.set(payment.id, settled.payment)
  if (settled.held) books.held.push(settled.held)
  work.emit(...settled.events)
  if (payment.captureMinor !== null && settled.payment.captureMinor === null)
    await endCaptureOf(needs, work, books, settled.payment)
  if (settled.capture) await bookCapture(needs, work, books, settled.capture)
  if (found && found.refunds.length + found.disputes.length > 0)
    await learnMovements(needs, work, books, settled.payment, found)
}

/** The capture that was under way ends with its authorisation: of the next one it is to take nothing. */
async function endCaptureOf(needs: SettleNeeds, work: Work, books: Books, payment: Payment): Promise<void> {
  const request = await needs.captureUnderWay(work, payment.id)
  if (request) books.captureRequests.push(endCapture(payment, request, work.now).request)
}

/** The payment itself tells its own capture; of a surplus one only the books know whether it was told before. */
async function bookCapture(needs: SettleNeeds, work: Work, books: Books, capture: Capture): Promise<void> {
  const isSame = (one: Capture) =>
    one.provider === capture.provider && one.providerPaymentId === capture.providerPaymentId
  if (books.captures.some(isSame) || (capture.surplus && (await needs.isBooked(work, capture)))) return
  books.captures.push(capture)
  books.entries.push(entryOfCapture(capture))
  if (capture.surplus)
    books.newRefunds.push({
      ...surplusRefund(capture, needs.newRefundId(), 'Paid twice', work.now),
      leaseUntil: work.now,
    })
}

async function learnMovements(
  needs: SettleNeeds,
  work: Work,
  books: Books,
  payment: Payment,
  found: ProviderPayment,
): Promise<void> {
  const stored = await needs.movementsOf(work, payment.id)
  const refunds = learnRefunds(payment, stored.refunds, found, needs.newRefundId, work.now)
  const disputes = learnDisputes(refunds.payment, stored.disputes, found, work.now)
  books.payments.set(payment.id, disputes.payment)
  books.refunds.push(...refunds.refunds)
  books.newRefunds.push(...refunds.newRefunds.map((refund) => ({ ...refund, leaseUntil: null })))
  books.disputes.push(...disputes.disputes)
  books.entries.push(...refunds.entries, ...disputes.entries)
  work.emit(...refunds.events, ...disputes.events)
}

/** The payment that already owns the provider's object: what the object says of itself comes second. */
const ownerOf = (payments: ReadonlyMap<PaymentId, Payment>, { found }: Word): Payment | undefined =>
  found && [...payments.values()].find((one) => one.provider === found.provider && one.providerPaymentId === found.id)
