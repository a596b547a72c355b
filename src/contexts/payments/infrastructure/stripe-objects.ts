import { minutesAfter } from '#kernel/clock.ts'
import type { AttemptId, RefundId } from '#kernel/ids.ts'
import { isCurrency, money } from '#kernel/money.ts'
import { CallFailed } from '#platform/resilience/http-client.ts'
import type { ProviderDispute, ProviderPayment, ProviderRefund } from '../domain/provider-payment.ts'
import { toDecline } from './stripe-declines.ts'
import { fromStripe } from './stripe-units.ts'

export const STRIPE = 'stripe'

export type JsonObject = Readonly<Record<string, unknown>>

const STATUS: Readonly<Record<string, ProviderPayment['status']>> = {
  requires_payment_method: 'declined',
  requires_confirmation: 'declined',
  requires_action: 'requiresAction',
  processing: 'processing',
  requires_capture: 'authorised',
  succeeded: 'succeeded',
  canceled: 'cancelled',
}
const REFUND_STATUS: Readonly<Record<string, ProviderRefund['status']>> = {
  pending: 'pending',
  requires_action: 'pending',
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'failed',
}
const DISPUTE_STATUS: Readonly<Record<string, ProviderDispute['status']>> = {
  won: 'won',
  prevented: 'won',
  lost: 'lost',
}
/** How long Stripe keeps an authorisation when it does not say. */
const AUTHORISED_MINUTES = 7 * 24 * 60

/**
 * Reads a PaymentIntent whose `latest_charge` was expanded, with its refunds and disputes; one that is not what Stripe's
 * documentation says is as good as no answer.
 */
export function toPayment(
  intent: unknown,
  refunds: readonly unknown[] = [],
  disputes: readonly unknown[] = [],
): ProviderPayment {
  const object = recordOf(intent)
  const status = STATUS[textOf(object, 'status')]
  const currency = textOf(object, 'currency').toUpperCase()
  if (object.object !== 'payment_intent' || !status || !isCurrency(currency)) throw senseless('a payment')
  const { paymentId, attemptId } = metadataOf(object)
  const took = status === 'succeeded'
  return {
    provider: STRIPE,
    id: textOf(object, 'id'),
    reference: paymentId ?? '',
    attemptId: (attemptId as AttemptId | undefined) ?? null,
    status,
    amount: money(minorOf(object.amount, currency), currency),
    takenMinor: took ? minorOf(object.amount_received, currency) : 0,
    refunds: took ? refunds.map((refund) => toRefund(refund)) : [],
    disputes: took ? disputes.flatMap((dispute) => toDispute(dispute)) : [],
    authorisedUntil: status === 'authorised' ? authorisedUntil(object) : null,
    redirectUrl: status === 'requiresAction' ? redirectUrlOf(object) : null,
    clientSecret: status === 'requiresAction' ? textOf(object, 'client_secret') : null,
    decline: status === 'declined' && isRecord(object.last_payment_error) ? toDecline(object.last_payment_error) : null,
  }
}

/** Reads a refund; one that its buyer has to act upon is on its way, one that was cancelled has failed. */
export function toRefund(body: unknown): ProviderRefund {
  const refund = recordOf(body)
  const status = REFUND_STATUS[textOf(refund, 'status')]
  if (!status) throw senseless('a refund')
  return {
    id: textOf(refund, 'id'),
    refundId: (metadataOf(refund).refundId as RefundId | undefined) ?? null,
    amountMinor: minorOf(refund.amount, textOf(refund, 'currency').toUpperCase()),
    status,
  }
}

/** Reads a dispute; an inquiry (`warning_…`) is none yet, as no money has moved. */
function toDispute(body: unknown): ProviderDispute[] {
  const dispute = recordOf(body)
  const status = textOf(dispute, 'status')
  if (status.startsWith('warning_')) return []
  return [
    {
      id: textOf(dispute, 'id'),
      amountMinor: minorOf(dispute.amount, textOf(dispute, 'currency').toUpperCase()),
      reason: textOf(dispute, 'reason'),
      status: DISPUTE_STATUS[status] ?? 'open',
    },
  ]
}

/** The charge that tells of a payment's refunds; undefined while there is none, or where it was not expanded. */
export const chargeOf = (intent: unknown): JsonObject | undefined => {
  const { latest_charge: charge } = recordOf(intent)
  return isRecord(charge) ? charge : undefined
}

/** What we wrote on an object of Stripe's. */
export const metadataOf = (object: JsonObject): Readonly<Record<string, string | undefined>> =>
  isRecord(object.metadata) ? (object.metadata as Record<string, string>) : {}

function authorisedUntil(intent: JsonObject): Date {
  const details = chargeOf(intent)?.payment_method_details
  const card = isRecord(details) ? details.card : undefined
  const before = isRecord(card) ? card.capture_before : undefined
  if (typeof before === 'number') return new Date(before * 1000)
  if (typeof intent.created !== 'number') throw senseless('an authorisation')
  return minutesAfter(new Date(intent.created * 1000), AUTHORISED_MINUTES)
}

function redirectUrlOf({ next_action: next }: JsonObject): string | null {
  const redirect = isRecord(next) ? next.redirect_to_url : undefined
  return isRecord(redirect) ? textOf(redirect, 'url') : null
}

function minorOf(amount: unknown, currency: string): number {
  const minor = isCurrency(currency) ? fromStripe(amount, currency) : undefined
  if (minor === undefined) throw senseless('an amount')
  return minor
}

const isRecord = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null

/** The value as an object; anything else is no answer. */
export function recordOf(value: unknown): JsonObject {
  if (!isRecord(value)) throw senseless('something else')
  return value
}

function textOf(object: JsonObject, name: string): string {
  const value = object[name]
  if (typeof value !== 'string' || value === '') throw new CallFailed(`Stripe answered without ${name}.`, true)
  return value
}

const senseless = (what: string) => new CallFailed(`Stripe answered with ${what} that makes no sense.`, true)
