import { minutesAfter } from '#kernel/clock.ts'
import type { DomainEvent } from '#kernel/event.ts'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { type Attempt, resolve, type Word } from './attempt.ts'
import { refuse } from './problems.ts'
import type { ProviderPayment } from './provider-payment.ts'

export type PaymentStatus = 'open' | 'authorised' | 'captured' | 'cancelled' | 'review' | 'disputed' | 'lost'

/** What a payment can become. A cancelled one can still be captured: money that lands late is never ignored. */
export const paymentTransitions: Readonly<Record<PaymentStatus, readonly PaymentStatus[]>> = {
  open: ['authorised', 'captured', 'cancelled', 'review'],
  authorised: ['captured', 'cancelled', 'review'],
  cancelled: ['captured', 'review'],
  review: ['captured', 'cancelled'],
  captured: ['disputed'],
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
  readonly capturedMinor: number
  readonly refundedMinor: number
  /** Promised to refunds that are under way. */
  readonly refundingMinor: number
  readonly provider: string | null
  readonly providerPaymentId: string | null
  /** Why a person has to look at it. */
  readonly reviewReason: string | null
  readonly payableUntil: Date
  readonly openedAt: Date
  readonly closingReason: ClosingReason | null
  readonly closingSince: Date | null
  /** When to cancel it at the provider. */
  readonly closeAt: Date | null
}

/** Money that a provider took. A surplus capture is a second one for the same order and goes back. */
export type Capture = {
  readonly paymentId: PaymentId
  readonly provider: string
  readonly providerPaymentId: string
  readonly amount: Money
  readonly surplus: boolean
}

export type Settlement = {
  readonly payment: Payment
  readonly attempts: readonly Attempt[]
  readonly capture: Capture | null
  readonly events: readonly DomainEvent[]
}

const isCaptured = ({ status }: Payment): boolean => status === 'captured' || status === 'disputed' || status === 'lost'

/** Refuses an attempt on a payment that is not open to one at `now`. */
export function assertPayable(payment: Payment, now: Date): void {
  if (isCaptured(payment)) throw refuse('payments.already-captured')
  if (payment.status === 'review') throw refuse('payments.in-review')
  if (payment.closingReason === 'cancelled') throw refuse('payments.cancelled')
  if (payment.status !== 'open' || payment.closingReason !== null || payment.payableUntil <= now)
    throw refuse('orders.hold-expired')
}

/**
 * What a provider's word means for a payment and its attempts. Money is taken note of once per provider payment, and
 * only when amount, currency and reference are ours: otherwise the payment is held for review and nothing moves.
 * The same word again, or an older one, changes nothing.
 */
export function settle(payment: Payment, attempts: readonly Attempt[], word: Word, now: Date): Settlement {
  const { found } = word
  const taken = found?.status === 'succeeded' ? take(payment, found) : { payment, capture: null, events: [] }
  const inReview = found?.status === 'succeeded' && !taken.capture && !isCaptured(taken.payment)
  // While money is in dispute between the books, the attempt that brought it is neither paid nor free to be tried again.
  const told: Word = inReview && found ? { ...word, found: { ...found, status: 'processing' } } : word
  const resolved = attempts.map((attempt) => resolve(attempt, told, isCaptured(taken.payment), now))
  const ended =
    found?.status === 'cancelled' ? cancelledThere(taken.payment) : { payment: adopt(taken.payment, found), events: [] }
  const declined = resolved.filter(
    (attempt, index) => attempt.status === 'declined' && attempts[index]?.status !== 'declined',
  )
  return {
    payment: ended.payment,
    attempts: resolved,
    capture: taken.capture,
    events: [...taken.events, ...ended.events, ...declined.map((attempt) => declinedEvent(payment, attempt))],
  }
}

/** Remembers the provider's object while there is none, so that every later attempt uses the same one. */
const adopt = (payment: Payment, found: ProviderPayment | undefined): Payment =>
  found && payment.providerPaymentId === null && found.reference === payment.id
    ? { ...payment, provider: found.provider, providerPaymentId: found.id }
    : payment

type Taken = Pick<Settlement, 'payment' | 'capture' | 'events'>

function take(payment: Payment, found: ProviderPayment): Taken {
  const { id: providerPaymentId, provider, amount } = found
  if (isCaptured(payment) && payment.provider === provider && payment.providerPaymentId === providerPaymentId)
    return { payment, capture: null, events: [] }
  const wrong = whatIsWrong(payment, found)
  if (wrong) return holdForReview(payment, wrong)
  const capture = { paymentId: payment.id, provider, providerPaymentId, amount, surplus: isCaptured(payment) }
  if (capture.surplus) return { payment, capture, events: [] }
  return {
    payment: {
      ...payment,
      status: 'captured',
      capturedMinor: amount.amountMinor,
      provider,
      providerPaymentId,
      closeAt: null,
    },
    capture,
    events: [event('payments.captured.v1', payment, { ...amount })],
  }
}

function whatIsWrong(payment: Payment, { id, reference, amount }: ProviderPayment): string | undefined {
  if (reference !== payment.id) return `${id} belongs to ${reference}`
  if (amount.currency !== payment.amount.currency) return `${id} took ${amount.currency}`
  if (amount.amountMinor !== payment.amount.amountMinor) return `${id} took ${amount.amountMinor}`
  return undefined
}

function holdForReview(payment: Payment, reviewReason: string): Taken {
  if (payment.reviewReason !== null) return { payment, capture: null, events: [] }
  const status = isCaptured(payment) ? payment.status : 'review'
  return {
    payment: { ...payment, status, reviewReason },
    capture: null,
    events: [event('payments.held-for-review.v1', payment, { ...payment.amount })],
  }
}

function cancelledThere(payment: Payment): Pick<Taken, 'payment' | 'events'> {
  if (payment.status !== 'open' && payment.status !== 'authorised')
    return { payment: { ...payment, closeAt: null }, events: [] }
  return {
    payment: { ...payment, status: 'cancelled', closeAt: null },
    events: [event('payments.cancelled.v1', payment, {})],
  }
}

export type Closing =
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'busy'; readonly until: Date }
  | { readonly outcome: 'captured' }
export type ClosingLimits = {
  /** How long a payment that a bank is processing keeps its order's stock. */
  readonly processingMaxMinutes: number
}

/** How long an unreachable provider can keep a payment from closing. */
const CLOSE_ANYWAY_AFTER_MINUTES = 10
const LOOK_AGAIN_AFTER_MINUTES = 1 / 6

/**
 * Closes a payment for its order, or says why not yet. One that has lapsed is cancelled at its provider first (a job
 * does that; until then it is busy), so that it cannot be paid after its goods are free; when the provider cannot be
 * reached for ten minutes it is closed all the same. One that a person cancels is closed at once: if it is paid later,
 * the money goes back.
 */
export function close(
  payment: Payment,
  live: Attempt | undefined,
  reason: ClosingReason,
  now: Date,
  { processingMaxMinutes }: ClosingLimits,
): { payment: Payment; closing: Closing; events: readonly DomainEvent[] } {
  const stay = (closing: Closing, changed = payment) => ({ payment: changed, closing, events: [] })
  const busy = (until: Date, changed = payment) =>
    stay({ outcome: 'busy', until: until > now ? until : minutesAfter(now, LOOK_AGAIN_AFTER_MINUTES) }, changed)
  if (isCaptured(payment)) return stay({ outcome: 'captured' })
  if (payment.status === 'cancelled') return stay({ outcome: 'cancelled' })
  if (payment.status === 'review') return busy(minutesAfter(now, CLOSE_ANYWAY_AFTER_MINUTES))
  if (reason === 'expired' && payment.payableUntil > now) return busy(payment.payableUntil)
  if (live?.status === 'processing' && minutesAfter(live.createdAt, processingMaxMinutes) > now)
    return busy(minutesAfter(now, 1))
  const closingSince = payment.closingSince ?? now
  const overdue = minutesAfter(closingSince, CLOSE_ANYWAY_AFTER_MINUTES) <= now || live?.status === 'processing'
  const atProvider = payment.providerPaymentId !== null
  const first = reason === 'expired' ? atProvider || live : live
  if (first && !overdue) {
    if (reason === 'cancelled') return busy(live?.leaseUntil ?? now)
    return busy(now, {
      ...payment,
      closingReason: reason,
      closingSince,
      closeAt: atProvider ? (payment.closeAt ?? now) : null,
    })
  }
  const closeAt = atProvider ? now : null
  return {
    payment: { ...payment, status: 'cancelled', closingReason: reason, closingSince, closeAt },
    closing: { outcome: 'cancelled' },
    events: [event('payments.cancelled.v1', payment, {})],
  }
}

const declinedEvent = (payment: Payment, attempt: Attempt): DomainEvent =>
  event('payments.declined.v1', payment, { attemptId: attempt.id, code: attempt.decline?.code ?? 'unknown' })

/** A fact about a payment: ids and amounts only. */
export const event = (type: string, { id, orderId }: Payment, data: object): DomainEvent => ({
  type,
  subject: id,
  data: { paymentId: id, orderId, ...data },
})
