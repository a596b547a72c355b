import type { ApiKeyId, CaptureId, PaymentId, UserId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { isCaptured, type Payment } from './payment.ts'
import { refuse } from './problems.ts'

/** Somebody's wish to take authorised money, all or a part of it; what is not taken is let go. One per payment. */
export type CaptureRequest = {
  readonly id: CaptureId
  readonly paymentId: PaymentId
  /** The object at the provider; null once the payment has left it. */
  readonly provider: string | null
  readonly providerPaymentId: string | null
  readonly amount: Money
  readonly requestedBy: UserId | ApiKeyId | null
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly createdAt: Date
  readonly endedAt: Date | null
}

/**
 * Asks for authorised money; all of it when `amountMinor` is left out. Refuses payments.already-captured, .in-review,
 * .cancelled, .not-authorised, .capture-in-progress and .capture-exceeds-authorised.
 */
export function promiseCapture(
  payment: Payment,
  wanted: { readonly id: CaptureId; readonly amountMinor?: number | undefined; readonly by: UserId | ApiKeyId | null },
  now: Date,
): { payment: Payment; request: CaptureRequest } {
  if (isCaptured(payment)) throw refuse('payments.already-captured')
  if (payment.status === 'review') throw refuse('payments.in-review')
  if (payment.status === 'cancelled' || payment.closingReason !== null) throw refuse('payments.cancelled')
  if (payment.status !== 'authorised') throw refuse('payments.not-authorised')
  if (payment.captureMinor !== null) throw refuse('payments.capture-in-progress', undefined, { retryAfterSeconds: 1 })
  const amountMinor = wanted.amountMinor ?? payment.amount.amountMinor
  if (amountMinor > payment.amount.amountMinor)
    throw refuse('payments.capture-exceeds-authorised', undefined, { authorised: payment.amount })
  return {
    payment: { ...payment, captureMinor: amountMinor },
    request: {
      id: wanted.id,
      paymentId: payment.id,
      provider: payment.provider,
      providerPaymentId: payment.providerPaymentId,
      amount: { amountMinor, currency: payment.amount.currency },
      requestedBy: wanted.by,
      status: 'pending',
      createdAt: now,
      endedAt: null,
    },
  }
}

/**
 * How a request stands, seen from its payment: made, or not to be made any more when the authorisation has gone or the
 * provider has `refused` it. What stays authorised after that can be asked for otherwise.
 */
export function endCapture(
  payment: Payment,
  request: CaptureRequest,
  now: Date,
  refused = false,
): { payment: Payment; request: CaptureRequest } {
  if (request.status !== 'pending' || (payment.status === 'authorised' && !refused)) return { payment, request }
  const made = isCaptured(payment) && payment.capturedMinor === request.amount.amountMinor
  return {
    payment: made ? payment : { ...payment, captureMinor: isCaptured(payment) ? payment.captureMinor : null },
    request: { ...request, status: made ? 'succeeded' : 'failed', endedAt: now },
  }
}
