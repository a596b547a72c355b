import type { AttemptId, RefundId } from '#kernel/ids.ts'
import { isCurrency, money } from '#kernel/money.ts'
import { CallFailed } from '#platform/resilience/http-client.ts'
import type { Decline, ProviderDispute, ProviderPayment, ProviderRefund } from '../domain/provider-payment.ts'

/** The provider's name. */
export const SANDBOX = 'sandbox'

const MESSAGES: Readonly<Record<string, Decline>> = {
  card_declined: { code: 'card-declined', message: 'The card was declined. Try another one.', retryable: true },
  authentication_failed: { code: 'authentication-failed', message: 'The payment was not approved.', retryable: true },
}

type JsonObject = Readonly<Record<string, unknown>>

const STATUS: Readonly<Record<string, ProviderPayment['status']>> = {
  requires_payment_method: 'declined',
  requires_action: 'requiresAction',
  requires_capture: 'authorised',
  processing: 'processing',
  succeeded: 'succeeded',
  cancelled: 'cancelled',
}

/** Reads the sandbox's object; one that is not what its documentation says is as good as no answer. */
export function toPayment(body: unknown): ProviderPayment {
  const payment = recordOf(body)
  const metadata = recordOf(payment.metadata)
  const status = STATUS[textOf(payment, 'status')]
  const { amount, amountCaptured: takenMinor, refunds, disputes } = payment
  const currency = textOf(payment, 'currency')
  if (!status || !isMinor(amount) || !isMinor(takenMinor) || !isCurrency(currency))
    throw new CallFailed('The sandbox answered with a payment that makes no sense.', true)
  if (!Array.isArray(refunds) || !Array.isArray(disputes))
    throw new CallFailed('The sandbox answered without refunds or disputes.', true)
  const error = payment.lastError ? textOf(recordOf(payment.lastError), 'code') : undefined
  return {
    provider: SANDBOX,
    id: textOf(payment, 'id'),
    reference: textOf(payment, 'reference'),
    attemptId: typeof metadata.attemptId === 'string' ? (metadata.attemptId as AttemptId) : null,
    status,
    amount: money(amount, currency),
    takenMinor,
    refunds: refunds.map(toRefund),
    disputes: disputes.map(toDispute),
    authorisedUntil: payment.authorisedUntil ? new Date(textOf(payment, 'authorisedUntil')) : null,
    redirectUrl: payment.nextAction ? textOf(recordOf(payment.nextAction), 'url') : null,
    clientSecret: null,
    decline:
      error === undefined
        ? null
        : (MESSAGES[error] ?? { code: 'declined', message: 'The payment was declined.', retryable: true }),
  }
}

/** Reads the sandbox's refund. */
export function toRefund(body: unknown): ProviderRefund {
  const refund = recordOf(body)
  const { amount, metadata, status } = refund
  if (!isMinor(amount) || (status !== 'pending' && status !== 'succeeded' && status !== 'failed'))
    throw new CallFailed('The sandbox answered with a refund that makes no sense.', true)
  const { refundId } = recordOf(metadata)
  return {
    id: textOf(refund, 'id'),
    refundId: typeof refundId === 'string' ? (refundId as RefundId) : null,
    amountMinor: amount,
    status,
  }
}

function toDispute(body: unknown): ProviderDispute {
  const dispute = recordOf(body)
  const { amount, status } = dispute
  if (!isMinor(amount) || (status !== 'open' && status !== 'won' && status !== 'lost'))
    throw new CallFailed('The sandbox answered with a dispute that makes no sense.', true)
  return { id: textOf(dispute, 'id'), amountMinor: amount, reason: textOf(dispute, 'reason'), status }
}

const isMinor = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Reads a page of payments. */
export const listOf = (body: unknown): ProviderPayment[] => {
  const { data } = recordOf(body)
  if (!Array.isArray(data)) throw new CallFailed('The sandbox answered without a list.', true)
  return data.map(toPayment)
}

/** A JSON object, or the call has failed. */
export function recordOf(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null)
    throw new CallFailed('The sandbox answered with something else.', true)
  return value as JsonObject
}

/** A text that has to be there. */
export function textOf(object: JsonObject, name: string): string {
  const value = object[name]
  if (typeof value !== 'string' || value === '') throw new CallFailed(`The sandbox answered without ${name}.`, true)
  return value
}
