import type { DomainEvent } from '#kernel/event.ts'
import type { ApiKeyId, PaymentId, RefundId, UserId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { entryOfRefund, type LedgerEntry } from './ledger.ts'
import { event, isCaptured, isObjectOf, type Payment } from './payment.ts'
import { refuse } from './problems.ts'
import type { ProviderPayment, ProviderRefund } from './provider-payment.ts'
import type { Capture } from './settle.ts'

/** Money on its way back. It is promised on the payment when asked for, and booked when the provider has sent it. */
export type Refund = {
  readonly id: RefundId
  readonly paymentId: PaymentId
  readonly provider: string
  readonly providerPaymentId: string
  readonly providerRefundId: string | null
  /** Of a surplus capture: outside the payment's sums. */
  readonly surplus: boolean
  readonly amount: Money
  readonly reason: string
  readonly requestedBy: UserId | ApiKeyId | null
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly createdAt: Date
  readonly endedAt: Date | null
}

/** What can still be asked back, in minor units. */
export const refundableMinor = ({ capturedMinor, refundedMinor, refundingMinor }: Payment): number =>
  capturedMinor - refundedMinor - refundingMinor

/** Refuses payments.not-captured and payments.disputed. */
export function refuseUnrefundable({ capturedMinor, status }: Payment): void {
  if (capturedMinor === 0) throw refuse('payments.not-captured')
  if (status !== 'captured') throw refuse('payments.disputed')
}

/** Promises a part of what was captured. Refuses payments.not-captured, .disputed and .refund-exceeds-captured. */
export function promiseRefund(
  payment: Payment,
  wanted: {
    readonly id: RefundId
    readonly amountMinor: number
    readonly reason: string
    readonly by: UserId | ApiKeyId | null
  },
  now: Date,
): { payment: Payment; refund: Refund } {
  const { provider, providerPaymentId } = payment
  refuseUnrefundable(payment)
  if (provider === null || providerPaymentId === null) throw refuse('payments.not-captured')
  const left = refundableMinor(payment)
  if (wanted.amountMinor > left)
    throw refuse('payments.refund-exceeds-captured', undefined, {
      left: { amountMinor: left, currency: payment.amount.currency },
    })
  return {
    payment: { ...payment, refundingMinor: payment.refundingMinor + wanted.amountMinor },
    refund: {
      id: wanted.id,
      paymentId: payment.id,
      provider,
      providerPaymentId,
      providerRefundId: null,
      surplus: false,
      amount: { amountMinor: wanted.amountMinor, currency: payment.amount.currency },
      reason: wanted.reason,
      requestedBy: wanted.by,
      status: 'pending',
      createdAt: now,
      endedAt: null,
    },
  }
}

/** The refund that sends a surplus capture back. */
export const surplusRefund = (capture: Capture, id: RefundId, reason: string, now: Date): Refund => ({
  id,
  paymentId: capture.paymentId,
  provider: capture.provider,
  providerPaymentId: capture.providerPaymentId,
  providerRefundId: null,
  surplus: true,
  amount: capture.amount,
  reason,
  requestedBy: null,
  status: 'pending',
  createdAt: now,
  endedAt: null,
})

export type RefundStep = {
  readonly payment: Payment
  readonly refund: Refund
  readonly entries: readonly LedgerEntry[]
  readonly events: readonly DomainEvent[]
}

/**
 * What the provider's word means for a refund: sent, or definitely not. One that was sent and fails later gives the money
 * back to the payment; one that has failed stays so. The same word again, or an older one, changes nothing.
 */
export function followRefund(
  payment: Payment,
  refund: Refund,
  { id, status }: Pick<ProviderRefund, 'id' | 'status'>,
  now: Date,
): RefundStep {
  const unmoved = { payment, refund, entries: [], events: [] }
  if (status === 'pending')
    return refund.status === 'pending' ? { ...unmoved, refund: { ...refund, providerRefundId: id } } : unmoved
  const sentBefore = refund.status === 'succeeded'
  const failedHere = refund.status === 'failed' && !(isUnsentSurplus(refund) && status === 'succeeded')
  if (failedHere || (sentBefore && status === 'succeeded')) return unmoved
  const ended: Refund = { ...refund, status, providerRefundId: id, endedAt: now }
  const moved = status === 'succeeded' ? ('refund' as const) : sentBefore ? ('refund-failed' as const) : undefined
  const after = refund.surplus ? payment : sumsAfter(payment, refund, status)
  return {
    payment: after,
    refund: ended,
    entries: moved ? [entryOfRefund(ended, moved)] : [],
    events: [told(after, ended)],
  }
}

/** The provider will definitely not make this refund: what it promised is free again. */
export function failRefund(payment: Payment, refund: Refund, now: Date): RefundStep {
  if (refund.status !== 'pending') return { payment, refund, entries: [], events: [] }
  const ended: Refund = { ...refund, status: 'failed', endedAt: now }
  const after = refund.surplus ? payment : sumsAfter(payment, refund, 'failed')
  return { payment: after, refund: ended, entries: [], events: [told(after, ended)] }
}

function sumsAfter(payment: Payment, { status: before, amount }: Refund, status: 'succeeded' | 'failed'): Payment {
  const { amountMinor } = amount
  return {
    ...payment,
    refundingMinor: payment.refundingMinor - (before === 'pending' ? amountMinor : 0),
    refundedMinor:
      payment.refundedMinor + (status === 'succeeded' ? amountMinor : 0) - (before === 'succeeded' ? amountMinor : 0),
  }
}

function told(payment: Payment, { id: refundId, amount, surplus, status }: Refund): DomainEvent {
  if (status === 'failed') return event('payments.refund-failed.v1', payment, { refundId, ...amount })
  if (surplus) return event('payments.surplus-refunded.v1', payment, { refundId, ...amount })
  const { refundedMinor: refundedTotalMinor, capturedMinor } = payment
  return event('payments.refunded.v1', payment, { refundId, ...amount, refundedTotalMinor, capturedMinor })
}

export type RefundsLearned = {
  readonly payment: Payment
  readonly refunds: readonly Refund[]
  readonly newRefunds: readonly Refund[]
  readonly entries: readonly LedgerEntry[]
  readonly events: readonly DomainEvent[]
}

/**
 * Takes note of what a provider has sent back of one of its objects: our own refunds, and those that somebody made at the
 * provider itself, which are booked as they are. Throws while one of those leaves no room for ours that is under way: the
 * provider decides which of the two there will be, and then this is heard again.
 */
export function learnRefunds(
  payment: Payment,
  known: readonly Refund[],
  found: ProviderPayment,
  newRefundId: () => RefundId,
  now: Date,
): RefundsLearned {
  let learned: RefundsLearned = { payment, refunds: [], newRefunds: [], entries: [], events: [] }
  const oursOf = (there: ProviderRefund) => known.find((one) => isSame(one, found, there))
  // One that has failed makes room for another: what is known comes first, in whatever order they are listed.
  for (const there of [...found.refunds.filter(oursOf), ...found.refunds.filter((one) => !oursOf(one))]) {
    const ours = oursOf(there)
    if (!ours && !(there.status === 'succeeded' && isCaptured(payment) && isObjectOf(payment, found))) continue
    const before = ours ?? madeThere(learned.payment, found, there, newRefundId(), now)
    const promised = ours ? learned.payment : promise(learned.payment, before)
    const step = followRefund(promised, before, there, now)
    if (step.refund === before) continue
    learned = {
      payment: step.payment,
      refunds: ours ? [...learned.refunds, step.refund] : learned.refunds,
      newRefunds: ours ? learned.newRefunds : [...learned.newRefunds, step.refund],
      entries: [...learned.entries, ...step.entries],
      events: [...learned.events, ...step.events],
    }
  }
  return learned
}

const isSame = (refund: Refund, found: ProviderPayment, there: ProviderRefund): boolean =>
  refund.provider === found.provider &&
  refund.providerPaymentId === found.id &&
  (refund.providerRefundId === there.id ||
    refund.id === there.refundId ||
    (isUnsentSurplus(refund) && there.refundId === null && there.amountMinor === refund.amount.amountMinor))

/** A surplus goes back once, whoever sends it: by hand at the provider too, also after ours was refused. */
const isUnsentSurplus = ({ surplus, providerRefundId }: Refund): boolean => surplus && providerRefundId === null

const promise = (payment: Payment, { amount }: Refund): Payment => ({
  ...payment,
  refundingMinor: payment.refundingMinor + amount.amountMinor,
})

function madeThere(payment: Payment, found: ProviderPayment, there: ProviderRefund, id: RefundId, now: Date): Refund {
  if (there.amountMinor > refundableMinor(payment))
    throw new Error(`${there.id} sent back more than is left of ${payment.id} beside refunds under way.`)
  return {
    id,
    paymentId: payment.id,
    provider: found.provider,
    providerPaymentId: found.id,
    providerRefundId: null,
    surplus: false,
    amount: { amountMinor: there.amountMinor, currency: payment.amount.currency },
    reason: 'Made at the provider',
    requestedBy: null,
    status: 'pending',
    createdAt: now,
    endedAt: null,
  }
}
