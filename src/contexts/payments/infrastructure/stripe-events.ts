import type { WebhookEvent } from '../application/payment-provider.ts'
import { type JsonObject, metadataOf } from './stripe-objects.ts'

/**
 * What a genuine event is about, of whatever API version: a PaymentIntent's own events, and those of its charges, refunds and
 * disputes. Undefined for one without an id, and for one of the other mode than our key: a test is no payment.
 */
export function toEvent(body: Buffer, isLive: boolean): WebhookEvent | undefined {
  const event = parse(body)
  const { id, type, livemode } = event
  if (typeof id !== 'string' || typeof type !== 'string' || livemode === !isLive) return undefined
  const object = objectOf(objectOf(event.data).object)
  return {
    eventId: id,
    type,
    providerPaymentId: subjectOf(type, object),
    claimsCapture:
      type === 'payment_intent.succeeded' ||
      type === 'charge.captured' ||
      (type === 'charge.succeeded' && object.captured === true),
  }
}

/** The PaymentIntent; null for what we do not act on, and for one that somebody else made in the shop's account. */
function subjectOf(type: string, object: JsonObject): string | null {
  const [kind] = type.split('.')
  if (kind === 'payment_intent') return object.metadata && !metadataOf(object).paymentId ? null : idOf(object.id)
  if (kind === 'charge' || kind === 'refund') return idOf(object.payment_intent)
  return null
}

/** An id, or that of an expanded object. */
const idOf = (value: unknown): string | null => {
  const id = typeof value === 'string' ? value : objectOf(value).id
  return typeof id === 'string' && id.startsWith('pi_') ? id : null
}

const objectOf = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {}

function parse(body: Buffer): JsonObject {
  try {
    return objectOf(JSON.parse(body.toString('utf8')))
  } catch {
    return {}
  }
}
