import type { PaymentId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Dispute } from './dispute.ts'
import type { Refund } from './refund.ts'
import type { Capture } from './settle.ts'

/** One amount that moves from the credited account to the debited one: every entry balances by its shape. */
export type LedgerEntry = {
  readonly paymentId: PaymentId
  readonly refundId: RefundId | null
  readonly providerDisputeId: string | null
  readonly kind: 'capture' | 'refund' | 'refund-failed' | 'dispute' | 'dispute-won' | 'dispute-lost'
  readonly debit: string
  readonly credit: string
  readonly amount: Money
}

/** What a provider holds for us grows with a capture: earned, or (a surplus one) owed back. */
export const entryOfCapture = ({ paymentId, provider, amount, surplus }: Capture): LedgerEntry => ({
  paymentId,
  refundId: null,
  providerDisputeId: null,
  kind: 'capture',
  debit: accountOf(provider),
  credit: surplus ? 'surplus' : 'sales',
  amount,
})

/** And shrinks with a refund that it has sent; one that failed after that comes back. */
export const entryOfRefund = (
  { id, paymentId, provider, amount, surplus }: Refund,
  kind: 'refund' | 'refund-failed',
): LedgerEntry => {
  const [debit, credit] = [surplus ? 'surplus' : 'sales', accountOf(provider)]
  const moved = kind === 'refund' ? { debit, credit } : { debit: credit, credit: debit }
  return { paymentId, refundId: id, providerDisputeId: null, kind, ...moved, amount }
}

/** Disputed money is out of the provider's account until the dispute is won, or lost for good. */
export const entryOfDispute = (
  { paymentId, provider, providerDisputeId, amount }: Dispute,
  kind: 'dispute' | 'dispute-won' | 'dispute-lost',
): LedgerEntry => {
  const moved = {
    dispute: { debit: 'disputed', credit: accountOf(provider) },
    'dispute-won': { debit: accountOf(provider), credit: 'disputed' },
    'dispute-lost': { debit: 'losses', credit: 'disputed' },
  }[kind]
  return { paymentId, refundId: null, providerDisputeId, kind, ...moved, amount }
}

const accountOf = (provider: string): string => `provider:${provider}`
