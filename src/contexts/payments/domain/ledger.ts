import type { PaymentId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Capture } from './payment.ts'
import type { Refund } from './refund.ts'

/** One amount that moves from the credited account to the debited one: every entry balances by its shape. */
export type LedgerEntry = {
  readonly paymentId: PaymentId
  readonly refundId: RefundId | null
  readonly kind: 'capture' | 'refund'
  readonly debit: string
  readonly credit: string
  readonly amount: Money
}

/** What a provider holds for us grows with a capture: earned, or (a surplus one) owed back. */
export const entryOfCapture = ({ paymentId, provider, amount, surplus }: Capture): LedgerEntry => ({
  paymentId,
  refundId: null,
  kind: 'capture',
  debit: `provider:${provider}`,
  credit: surplus ? 'surplus' : 'sales',
  amount,
})

/** And shrinks with a refund that it has sent. */
export const entryOfRefund = ({ id, paymentId, provider, amount, surplus }: Refund): LedgerEntry => ({
  paymentId,
  refundId: id,
  kind: 'refund',
  debit: surplus ? 'surplus' : 'sales',
  credit: `provider:${provider}`,
  amount,
})
