import { minutesAfter } from '#kernel/clock.ts'
import type { DomainEvent } from '#kernel/event.ts'
import type { Attempt } from './attempt.ts'
import { type ClosingReason, event, isCaptured, type Payment } from './payment.ts'

export type Closing =
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'busy'; readonly until: Date }
  | { readonly outcome: 'captured' }
export type ClosingLimits = {
  /** How long a payment that its provider is processing keeps its order's stock. */
  readonly processingMaxMinutes: number
  readonly cancelsProcessing: boolean
}

/** How long an unreachable provider can keep a payment from closing: with the sweep after it, no more than ten minutes. */
const CLOSE_ANYWAY_AFTER_MINUTES = 9
const LOOK_AGAIN_AFTER_MINUTES = 1 / 6

/**
 * Closes a payment for its order, or says why not yet. One that has lapsed is cancelled at its provider first (a job
 * does that; until then it is busy), so that it cannot be paid after its goods are free; when the provider cannot be
 * reached for nine minutes it is closed all the same. One that a person cancels is closed at once: if it is paid later,
 * the money goes back. Authorised money keeps its order's stock until the provider lets it go, and while it is captured.
 */
export function close(
  payment: Payment,
  live: Attempt | undefined,
  reason: ClosingReason,
  now: Date,
  { processingMaxMinutes, cancelsProcessing }: ClosingLimits,
): { payment: Payment; closing: Closing; events: readonly DomainEvent[] } {
  const stay = (closing: Closing, changed = payment) => ({ payment: changed, closing, events: [] })
  const busy = (until: Date, changed = payment) =>
    stay({ outcome: 'busy', until: until > now ? until : minutesAfter(now, LOOK_AGAIN_AFTER_MINUTES) }, changed)
  if (isCaptured(payment)) return stay({ outcome: 'captured' })
  if (payment.status === 'cancelled') return stay({ outcome: 'cancelled' })
  if (payment.status === 'review') return busy(minutesAfter(now, CLOSE_ANYWAY_AFTER_MINUTES))
  if (reason === 'expired' && payment.payableUntil > now) return busy(payment.payableUntil)
  if (payment.status === 'authorised' && payment.captureMinor !== null) return busy(minutesAfter(now, 1))
  if (reason === 'expired' && payment.authorisedUntil && payment.authorisedUntil > now)
    return busy(payment.authorisedUntil)
  const isProcessing = live?.status === 'processing' && !(reason === 'cancelled' && cancelsProcessing)
  const processedBy = isProcessing ? minutesAfter(live.createdAt, processingMaxMinutes) : now
  if (processedBy > now) return busy(lookAgain(processedBy, now))
  const closingSince = payment.closingSince ?? now
  const overdue = minutesAfter(closingSince, CLOSE_ANYWAY_AFTER_MINUTES) <= now || live?.status === 'processing'
  const atProvider = payment.providerPaymentId !== null
  const calling = live && live.status !== 'requiresAction' ? live : undefined
  const first = reason === 'expired' ? atProvider || live : calling
  if (first && !overdue) {
    if (reason === 'cancelled') return busy(calling?.leaseUntil ?? now)
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

/** Days are not looked at every minute, and a minute not once a day. */
const lookAgain = (until: Date, now: Date): Date => {
  const minutesLeft = (until.getTime() - now.getTime()) / 60_000
  return minutesAfter(now, Math.min(60, Math.max(1, minutesLeft / 10)))
}
