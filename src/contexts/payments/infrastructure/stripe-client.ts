import type { Clock } from '#kernel/clock.ts'
import type { CallWatch } from '#platform/resilience/call-watch.ts'
import { CallFailed } from '#platform/resilience/http-client.ts'
import {
  CaptureRefused,
  type Charge,
  ChargeRefused,
  type PaymentProvider,
  RefundRefused,
} from '../application/payment-provider.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import { declineOf, toDecline, toRefusal } from './stripe-declines.ts'
import { toEvent } from './stripe-events.ts'
import { metadataOf, recordOf, STRIPE, toPayment, toRefund } from './stripe-objects.ts'
import { expand, readStripe } from './stripe-reader.ts'
import { connectStripe, isFinal, StripeKeptError, type StripeSaidNo } from './stripe-sdk-client.ts'
import { stripeMinimumMinor, toStripe } from './stripe-units.ts'

/** Bank debits take days, and until then nothing says that they will not come. */
const PROCESSING_MAX_MINUTES = 7 * 24 * 60
const FRESH_SECONDS = 300
const CLOCK_SKEW_SECONDS = 60
/** What left so many keys used up by errors is not to be made here. */
const KEYS = 10
const CONFIRMABLE = new Set<unknown>(['requires_payment_method', 'requires_confirmation', 'requires_action'])

/** Stripe through its own SDK, by PaymentIntents. */
export function makeStripeClient(options: {
  /** Another place than Stripe's own, for tests. */
  readonly url: string | undefined
  readonly secretKey: string
  /** All are accepted, so that they can be rotated. */
  readonly webhookSecrets: readonly string[]
  /** Where the buyer comes back to when an attempt does not say. */
  readonly shopUrl: string
  readonly timeoutMs: number
  readonly clock: Clock
  readonly watch?: CallWatch | undefined
}): PaymentProvider {
  const sdk = connectStripe(options)
  const { webhooks, within, ask, close } = sdk
  const isLive = !/^(sk|rk)_test_/.test(options.secretKey)
  const { complete, refundsOf, retrieveIntent, retrieve, findIntents, list } = readStripe({
    ...sdk,
    clock: options.clock,
  })

  const create = async (charge: Charge, amount: number): Promise<ProviderPayment> => {
    const { paymentId, orderId, attemptId, objectKey, returnUrl } = charge
    const wanted = {
      ...{ amount, currency: charge.amount.currency.toLowerCase(), confirm: true, capture_method: charge.capture },
      ...{ metadata: { paymentId, orderId, attemptId, objectKey }, ...payingWith(charge), expand },
      automatic_payment_methods: { enabled: true, allow_redirects: returnUrl ? 'always' : 'never' },
    } as const
    // Keyed by the payment, not by the attempt: whatever is lost or late, a payment has one object at the provider.
    for (const idempotencyKey of keysOf(objectKey)) {
      try {
        return await complete(await ask((stripe) => stripe.paymentIntents.create(wanted, { idempotencyKey })))
      } catch (error) {
        if ((error as StripeSaidNo).type !== 'idempotency_error') return outcomeOf(error)
        const made = (await findIntents(paymentId))
          .filter((intent) => metadataOf(intent).objectKey === objectKey)
          .at(-1)
        if (made) return confirm(String(made.id), charge)
        // An error stays with its key for a day. It made no object, so the next key makes the first one.
      }
    }
    throw tooManyErrors()
  }

  const confirm = async (id: string, charge: Charge): Promise<ProviderPayment> => {
    const { attemptId } = charge
    const before = await retrieveIntent(id)
    // It is past being confirmed: an earlier attempt went through, or it was cancelled. What it is now is the answer.
    if (!CONFIRMABLE.has(before.status)) return complete(before)
    try {
      await ask((stripe) => stripe.paymentIntents.update(id, { metadata: { attemptId } }))
      // An intent that was made for redirects wants an address for every card.
      const redirects = before.automatic_payment_methods?.allow_redirects !== 'never'
      const how = { ...payingWith(charge, redirects ? options.shopUrl : undefined), expand }
      const keyed = { idempotencyKey: attemptId }
      return await complete(await ask((stripe) => stripe.paymentIntents.confirm(id, how, keyed)))
    } catch (error) {
      return isUnexpectedState(error) ? retrieve(id) : outcomeOf(error)
    }
  }

  return {
    name: STRIPE,
    processingMaxMinutes: PROCESSING_MAX_MINUTES,
    cancelsProcessing: false,
    minimumMinor: stripeMinimumMinor,
    charge: async (charge) => {
      const { providerPaymentId } = charge
      const amount = toStripe(charge.amount)
      if (amount === undefined) throw new ChargeRefused(declineOf('amount-not-accepted'))
      const make = () => (providerPaymentId === null ? create(charge, amount) : confirm(providerPaymentId, charge))
      return within(make, { urgent: true })
    },
    capture: ({ captureId, providerPaymentId: id, amount }) =>
      within(async () => {
        const amount_to_capture = toStripe(amount)
        if (amount_to_capture === undefined) throw new CaptureRefused('Stripe does not take this amount.')
        const wanted = { amount_to_capture, expand }
        for (const idempotencyKey of keysOf(captureId)) {
          try {
            return await complete(await ask((stripe) => stripe.paymentIntents.capture(id, wanted, { idempotencyKey })))
          } catch (error) {
            if (!isFinal(error) && !(error instanceof StripeKeptError)) throw error
            const now = await retrieve(id)
            if (now.status === 'succeeded') return now
            if (isFinal(error)) throw new CaptureRefused(error.message)
          }
        }
        throw tooManyErrors()
      }),
    retrieve: (id) => within(() => retrieve(id)),
    find: (paymentId) => within(async () => Promise.all((await findIntents(paymentId)).map(complete))),
    list,
    cancel: (id) =>
      within(async () => {
        try {
          return await complete(await ask((stripe) => stripe.paymentIntents.cancel(id, { expand })))
        } catch (error) {
          if (!isFinal(error)) throw error
          return retrieve(id)
        }
      }),
    refund: ({ refundId, providerPaymentId: payment_intent, amount: wanted }) =>
      within(async () => {
        const amount = toStripe(wanted)
        if (amount === undefined) throw new RefundRefused('Stripe does not take this amount.')
        const asked = { payment_intent, amount, metadata: { refundId } }
        for (const idempotencyKey of keysOf(refundId)) {
          // Its key is forgotten after a day, but we may still be asking then.
          const made = (await refundsOf(payment_intent)).find((one) => metadataOf(recordOf(one)).refundId === refundId)
          if (made) return toRefund(made)
          try {
            return toRefund(await ask((stripe) => stripe.refunds.create(asked, { idempotencyKey })))
          } catch (error) {
            if (isFinal(error)) throw new RefundRefused(error.message)
            if (!(error instanceof StripeKeptError)) throw error
          }
        }
        throw tooManyErrors()
      }),
    readWebhook: (headers, body, now) => {
      const header = headers['stripe-signature']
      if (typeof header !== 'string') return undefined
      const sentAt = Number(/(?:^|,)t=(\d{1,12})(?:,|$)/.exec(header)?.[1])
      if (!(sentAt <= now.getTime() / 1000 + CLOCK_SKEW_SECONDS)) return undefined
      const isGenuine = options.webhookSecrets.some((secret) => {
        try {
          return webhooks.signature?.verifyHeader(body, header, secret, FRESH_SECONDS, undefined, now.getTime())
        } catch {
          return false
        }
      })
      return isGenuine ? toEvent(body, isLive) : undefined
    },
    close,
  }
}

/** The keys of one thing to do. An error stays with a key for a day: the next one is for when it had no effect. */
const keysOf = (name: string): string[] => Array.from({ length: KEYS }, (_, i) => (i === 0 ? name : `${name} ${i + 1}`))

const tooManyErrors = () => new CallFailed('Stripe has answered too many tries of this with errors.', true)

/** Without a page to come back to, the buyer approves in Stripe's own script on the page of the shop. */
const payingWith = ({ token, returnUrl }: Charge, otherwise?: string) => ({
  ...(token.startsWith('ctoken_') ? { confirmation_token: token } : { payment_method: token }),
  ...(returnUrl ? { return_url: returnUrl } : { use_stripe_sdk: true, ...(otherwise && { return_url: otherwise }) }),
})

const isUnexpectedState = (error: unknown): boolean =>
  (error as StripeSaidNo).code === 'payment_intent_unexpected_state'

/** What an attempt came to that Stripe said no to: the intent that it declined, or a reason why it did not begin. */
function outcomeOf(error: unknown): ProviderPayment {
  if (!isFinal(error)) throw error
  if (error.type !== 'card_error') throw new ChargeRefused(toRefusal(error))
  if (error.intent) return toPayment(error.intent)
  throw new ChargeRefused(toDecline(error))
}
