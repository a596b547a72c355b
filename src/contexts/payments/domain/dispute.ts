import type { DomainEvent } from '#kernel/event.ts'
import type { PaymentId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { entryOfDispute, type LedgerEntry } from './ledger.ts'
import { event, isCaptured, isObjectOf, type Payment } from './payment.ts'
import type { ProviderDispute, ProviderPayment } from './provider-payment.ts'

/** A buyer's bank wants captured money back. It is out of our account until the dispute is won, or lost for good. */
export type Dispute = {
  readonly paymentId: PaymentId
  readonly provider: string
  readonly providerPaymentId: string
  readonly providerDisputeId: string
  readonly amount: Money
  /** The provider's word for why. */
  readonly reason: string
  readonly status: ProviderDispute['status']
  readonly openedAt: Date
  readonly endedAt: Date | null
}

/**
 * Takes note of the disputes that a provider has about a captured payment, each step of each once: `known` are those in
 * our books. One that has ended stays as it ended. The payment is lost with the first lost one, else disputed while any is open.
 */
export function learnDisputes(
  payment: Payment,
  known: readonly Dispute[],
  found: ProviderPayment,
  now: Date,
): { payment: Payment; disputes: readonly Dispute[]; entries: readonly LedgerEntry[]; events: readonly DomainEvent[] } {
  if (!isCaptured(payment) || !isObjectOf(payment, found)) return { payment, disputes: [], entries: [], events: [] }
  const steps = found.disputes.flatMap((one) => stepsOf(payment, known, found, one, now))
  const changed = new Map(steps.map(({ dispute }) => [dispute.providerDisputeId, dispute]))
  const all = [...known.filter(({ providerDisputeId }) => !changed.has(providerDisputeId)), ...changed.values()]
  return {
    payment: steps.length === 0 ? payment : { ...payment, status: statusWith(all) },
    disputes: [...changed.values()],
    entries: steps.map(({ dispute, kind }) => entryOfDispute(dispute, kind)),
    events: steps.map(({ dispute, kind }) => toldOf(payment, dispute, kind)),
  }
}

type Step = { readonly dispute: Dispute; readonly kind: 'dispute' | 'dispute-won' | 'dispute-lost' }

function stepsOf(
  payment: Payment,
  known: readonly Dispute[],
  { provider, id: providerPaymentId, amount }: ProviderPayment,
  { id: providerDisputeId, status, reason, amountMinor }: ProviderDispute,
  now: Date,
): Step[] {
  const before = known.find((one) => one.provider === provider && one.providerDisputeId === providerDisputeId)
  if (before && (before.status !== 'open' || status === 'open')) return []
  const opened: Dispute = before ?? {
    ...{ paymentId: payment.id, provider, providerPaymentId, providerDisputeId, reason },
    amount: { amountMinor, currency: amount.currency },
    status: 'open',
    openedAt: now,
    endedAt: null,
  }
  const first: Step[] = before ? [] : [{ dispute: opened, kind: 'dispute' }]
  if (status === 'open') return first
  return [...first, { dispute: { ...opened, status, endedAt: now }, kind: `dispute-${status}` }]
}

function statusWith(disputes: readonly Dispute[]): 'captured' | 'disputed' | 'lost' {
  if (disputes.some(({ status }) => status === 'lost')) return 'lost'
  return disputes.some(({ status }) => status === 'open') ? 'disputed' : 'captured'
}

const EVENTS = {
  dispute: 'payments.disputed.v1',
  'dispute-won': 'payments.dispute-won.v1',
  'dispute-lost': 'payments.dispute-lost.v1',
} as const

const toldOf = (payment: Payment, { amount, providerDisputeId }: Dispute, kind: Step['kind']): DomainEvent =>
  event(EVENTS[kind], payment, { ...amount, providerDisputeId })
