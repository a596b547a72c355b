import type { DomainEvent } from '#kernel/event.ts'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { refuse } from './problems.ts'

export type PaymentStatus = 'open' | 'authorised' | 'captured' | 'cancelled' | 'review' | 'disputed' | 'lost'

/**
 * What a payment can become. A cancelled one can still be captured: money that lands late is never ignored. An authorised
 * one is open again when its provider let the money go.
 */
export const paymentTransitions: Readonly<Record<PaymentStatus, readonly PaymentStatus[]>> = {
  open: ['authorised', 'captured', 'cancelled', 'review'],
  authorised: ['open', 'captured', 'cancelled', 'review'],
  cancelled: ['captured', 'review'],
  review: ['open', 'captured', 'cancelled'],
  captured: ['disputed', 'lost'],
  disputed: ['captured', 'lost'],
  lost: [],
}

export type ClosingReason = 'expired' | 'cancelled'

/** What is owed for one order. Amounts in minor units of `amount.currency`. */
export type Payment = {
  readonly id: PaymentId
  readonly orderId: OrderId
  readonly status: PaymentStatus
  readonly amount: Money
  /** What staff asked to capture of an authorised payment; null: nothing yet, or all of it. */
  readonly captureMinor: number | null
  readonly capturedMinor: number
  readonly refundedMinor: number
  /** Promised to refunds that are under way. */
  readonly refundingMinor: number
  readonly provider: string | null
  readonly providerPaymentId: string | null
  /** How many objects at providers were left behind for another one: cancelled there before the payment was made. */
  readonly objectsLeft: number
  /** When its provider lets authorised money go. */
  readonly authorisedUntil: Date | null
  /** Why a person has to look at it. */
  readonly reviewReason: string | null
  readonly payableUntil: Date
  readonly openedAt: Date
  readonly closingReason: ClosingReason | null
  readonly closingSince: Date | null
  /** When to cancel it at the provider. */
  readonly closeAt: Date | null
}

/** Whether money was taken for it, whatever became of that money since. */
export const isCaptured = ({ status }: Pick<Payment, 'status'>): boolean =>
  status === 'captured' || status === 'disputed' || status === 'lost'

/** Whether this is the object at the provider that the payment is made with. */
export const isObjectOf = (payment: Payment, found: { readonly provider: string; readonly id: string }): boolean =>
  payment.provider === found.provider && payment.providerPaymentId === found.id

/** Refuses an attempt on a payment that is not open to one at `now`. */
export function assertPayable(payment: Payment, now: Date): void {
  if (isCaptured(payment)) throw refuse('payments.already-captured')
  if (payment.status === 'authorised') throw refuse('payments.already-authorised')
  if (payment.status === 'review') throw refuse('payments.in-review')
  if (payment.closingReason === 'cancelled') throw refuse('payments.cancelled')
  if (payment.status !== 'open' || payment.closingReason !== null || payment.payableUntil <= now)
    throw refuse('orders.hold-expired')
}

/** The payment without its object at the provider, which is over there: a later attempt makes another one. */
export const leaveObject = (payment: Payment): Payment => ({
  ...payment,
  providerPaymentId: null,
  objectsLeft: payment.objectsLeft + 1,
  closeAt: null,
})

/** The key under which a payment makes its object at a provider: the same for all attempts, until it left one behind. */
export const objectKeyOf = ({ id, objectsLeft }: Pick<Payment, 'id' | 'objectsLeft'>): string =>
  objectsLeft === 0 ? id : `${id}-${objectsLeft}`

/** A fact about a payment: ids and amounts only. */
export const event = (type: `payments.${string}.v1`, { id, orderId }: Payment, data: object): DomainEvent => ({
  type,
  subject: id,
  data: { paymentId: id, orderId, ...data },
})
