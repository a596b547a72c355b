import { minutesAfter } from '#kernel/clock.ts'
import type { PaymentId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Command } from '#platform/db/perform.ts'
import type { Work } from '#platform/db/work.ts'
import type { AttemptStatus } from '../domain/attempt.ts'
import { isCaptured, objectKeyOf, type Payment } from '../domain/payment.ts'
import { refuse } from '../domain/problems.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import { type LeaveObjectNeeds, leaveObject } from './leave-object.ts'

/** The provider that is the shop itself: bank transfer, invoice, cash. */
export const MANUAL = 'manual'

/** How much faster than ours the clocks of staff may go. */
const CLOCK_SKEW_MINUTES = 1

/** Money that came in by hand. `reference` is what the bank's statement says, personal and kept sealed. */
export type Receipt = { readonly amount: Money; readonly reference?: string | undefined; readonly receivedAt?: Date }

export type RecordReceiptNeeds = LeaveObjectNeeds & {
  lockPayments(work: Work, ids: readonly PaymentId[]): Promise<Payment[]>
  /** A payment and the state of its live attempt. */
  readForReceipt(id: PaymentId): Promise<{ payment: Payment; live: AttemptStatus | null } | undefined>
  /** Notes money as received, once, for the object that is made under this key; undefined when it was before. */
  receive(work: Work, payment: Payment, objectKey: string, receipt: Receipt): Promise<ProviderPayment | undefined>
}

/**
 * Makes a payment ready to be recorded: what it has at another provider is cancelled there first. Refuses
 * payments.not-found, .not-recordable, and what leaving refuses.
 */
export const prepareReceipt =
  (needs: RecordReceiptNeeds) =>
  async (command: Command, id: PaymentId): Promise<void> => {
    if (!needs.providers.has(MANUAL)) throw refuse('payments.not-recordable')
    const seen = await needs.readForReceipt(id)
    if (!seen) throw refuse('payments.not-found')
    const { payment, live } = seen
    if (isCaptured(payment) || payment.provider === MANUAL || payment.providerPaymentId === null) return
    if (payment.status !== 'open') throw refuse('payments.not-recordable')
    await leaveObject(needs, command, payment, live, MANUAL)
  }

/**
 * Records money that came in by bank transfer, invoice or cash, once, and pays the order with it; for an order that has
 * lapsed meanwhile it is money that lands late. Refuses payments.not-found, .already-captured, .in-review, .not-recordable,
 * .currency-mismatch, .amount-mismatch and .not-received-yet.
 */
export const recordReceipt =
  (needs: RecordReceiptNeeds) =>
  async (work: Work, id: PaymentId, receipt: Receipt): Promise<void> => {
    const [payment] = await needs.lockPayments(work, [id])
    if (!payment) throw refuse('payments.not-found')
    if (isCaptured(payment)) throw refuse('payments.already-captured')
    if (payment.status === 'review') throw refuse('payments.in-review')
    const elsewhere = payment.providerPaymentId !== null && payment.provider !== MANUAL
    if (payment.status === 'authorised' || elsewhere) throw refuse('payments.not-recordable')
    if (receipt.amount.currency !== payment.amount.currency) throw refuse('payments.currency-mismatch')
    if (receipt.amount.amountMinor !== payment.amount.amountMinor)
      throw refuse('payments.amount-mismatch', undefined, { owed: payment.amount })
    if (receipt.receivedAt && receipt.receivedAt > minutesAfter(work.now, CLOCK_SKEW_MINUTES))
      throw refuse('payments.not-received-yet')
    const found = await needs.receive(work, payment, objectKeyOf(payment), receipt)
    if (!found) throw refuse('payments.already-captured')
    await needs.settlePayments(work, [{ paymentId: id, word: { found } }])
    work.audit({
      action: 'payments.record',
      subject: id,
      before: { status: payment.status, capturedMinor: payment.capturedMinor },
      after: { capturedMinor: receipt.amount.amountMinor, currency: receipt.amount.currency },
    })
  }
