import type { DomainEvent } from '#kernel/event.ts'
import type { ApiKeyId, PaymentId, RefundId, UserId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { type Capture, event, type Payment } from './payment.ts'
import { refuse } from './problems.ts'

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

/** Promises a part of what was captured. Refuses payments.not-captured and payments.refund-exceeds-captured. */
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
  if (payment.capturedMinor === 0 || provider === null || providerPaymentId === null)
    throw refuse('payments.not-captured')
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
export const surplusRefund = (capture: Capture, id: RefundId, now: Date): Refund => ({
  id,
  paymentId: capture.paymentId,
  provider: capture.provider,
  providerPaymentId: capture.providerPaymentId,
  providerRefundId: null,
  surplus: true,
  amount: capture.amount,
  reason: 'Paid twice',
  requestedBy: null,
  status: 'pending',
  createdAt: now,
  endedAt: null,
})

/** Ends a refund: sent by the provider under an id of its own, or definitely not. A refund that has ended stays as it is. */
export function endRefund(
  payment: Payment,
  refund: Refund,
  providerRefundId: string | null,
  now: Date,
): { payment: Payment; refund: Refund; events: readonly DomainEvent[] } {
  if (refund.status !== 'pending') return { payment, refund, events: [] }
  const { amountMinor } = refund.amount
  const sent = providerRefundId !== null
  const ended: Refund = { ...refund, status: sent ? 'succeeded' : 'failed', providerRefundId, endedAt: now }
  const facts = { refundId: refund.id, ...refund.amount }
  if (refund.surplus) {
    const type = sent ? 'payments.surplus-refunded.v1' : 'payments.refund-failed.v1'
    return { payment, refund: ended, events: [event(type, payment, facts)] }
  }
  const refundedMinor = payment.refundedMinor + (sent ? amountMinor : 0)
  const changed = { ...payment, refundingMinor: payment.refundingMinor - amountMinor, refundedMinor }
  const told = sent
    ? event('payments.refunded.v1', payment, {
        ...facts,
        refundedTotalMinor: refundedMinor,
        capturedMinor: payment.capturedMinor,
      })
    : event('payments.refund-failed.v1', payment, facts)
  return { payment: changed, refund: ended, events: [told] }
}
