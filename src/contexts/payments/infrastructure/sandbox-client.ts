import { createHmac, timingSafeEqual } from 'node:crypto'
import type { PaymentId } from '#kernel/ids.ts'
import type { CallWatch } from '#platform/resilience/call-watch.ts'
import { type CallAnswer, CallFailed, makeHttpClient } from '#platform/resilience/http-client.ts'
import {
  CaptureRefused,
  type Charge,
  ChargeRefused,
  type PaymentProvider,
  RefundRefused,
  type WebhookEvent,
} from '../application/payment-provider.ts'
import { CALLING_PROVIDERS } from './calling-providers.ts'
import { listOf, recordOf, SANDBOX, textOf, toPayment, toRefund } from './sandbox-objects.ts'

const MINIMUM_MINOR = 50
const PROCESSING_MAX_MINUTES = 60
const FRESH_SECONDS = 300
const CLOCK_SKEW_SECONDS = 60

/** Statuses that say nothing of what was asked for: our key is wrong, or it took too long to arrive. */
const AT_THE_DOOR = new Set([401, 403, 408])

/** The sandbox provider over HTTP: the adapter that every other provider's is modelled on. */
export function makeSandboxClient(options: {
  /** Where it runs; while undefined every call fails as one to an unreachable provider does. */
  readonly url: string | undefined
  readonly apiKey: string
  readonly webhookSecret: string
  readonly timeoutMs: number
  readonly watch?: CallWatch | undefined
}): PaymentProvider {
  const http = makeHttpClient({
    origin: options.url ?? 'http://sandbox.invalid',
    timeoutMs: options.timeoutMs,
    ...CALLING_PROVIDERS,
    watch: options.watch,
    headers: { authorization: `Bearer ${options.apiKey}` },
  })
  /** What a charge takes is one deadline, and it is urgent. */
  const get = (path: string, charging?: AbortSignal) =>
    http.call({ method: 'GET', path, repeatable: true, urgent: charging !== undefined }, charging)
  const post = (path: string, body: object, key: string, charging?: AbortSignal) => {
    const headers = { 'idempotency-key': key }
    return http.call(
      { method: 'POST', path, body, headers, repeatable: true, urgent: charging !== undefined },
      charging,
    )
  }

  const retrieve = async (id: string, signal?: AbortSignal) =>
    toPayment(expectOk(await get(`/v1/payments/${id}`, signal)))
  const find = async (paymentId: PaymentId, signal?: AbortSignal) =>
    listOf(expectOk(await get(`/v1/payments?reference=${paymentId}`, signal)))
  const confirm = async (id: string, { token, attemptId }: Charge, signal: AbortSignal) => {
    const answer = await post(`/v1/payments/${id}/confirm`, { token, metadata: { attemptId } }, attemptId, signal)
    // It is past being confirmed: an earlier attempt went through, or it was cancelled. What it is now is the answer.
    return errorCode(answer) === 'payment_unexpected_state' ? retrieve(id, signal) : toPayment(expectCharge(answer))
  }

  return {
    name: SANDBOX,
    processingMaxMinutes: PROCESSING_MAX_MINUTES,
    cancelsProcessing: false,
    minimumMinor: () => MINIMUM_MINOR,
    charge: async (charge) => {
      const signal = http.deadline()
      const { paymentId, orderId, attemptId, providerPaymentId, objectKey, amount, capture, token, returnUrl } = charge
      if (providerPaymentId !== null) return confirm(providerPaymentId, charge, signal)
      const metadata = { orderId, attemptId }
      const wanted = {
        reference: paymentId,
        amount: amount.amountMinor,
        currency: amount.currency,
        capture,
        token,
        returnUrl,
        metadata,
      }
      // Keyed by the payment, not by the attempt: whatever is lost or late, a payment has one object at the provider.
      const answer = await post('/v1/payments', wanted, objectKey, signal)
      if (errorCode(answer) !== 'idempotency_key_reused') return toPayment(expectCharge(answer))
      const existing = (await find(paymentId, signal)).at(-1)
      if (!existing) throw new CallFailed('The sandbox has used the key of a payment that it does not have.', true)
      return confirm(existing.id, charge, signal)
    },
    capture: async ({ captureId, providerPaymentId, amount }) => {
      const wanted = { amount: amount.amountMinor, metadata: { captureId } }
      const answer = await post(`/v1/payments/${providerPaymentId}/capture`, wanted, captureId)
      if (errorCode(answer) !== 'payment_unexpected_state') return toPayment(expectOk(answer))
      const now = await retrieve(providerPaymentId)
      if (now.status === 'cancelled') throw new CaptureRefused('The authorisation has lapsed or was cancelled.')
      return now
    },
    retrieve: (id) => retrieve(id),
    find: (paymentId) => find(paymentId),
    list: async function* ({ from, before }) {
      const span = `createdFrom=${from.toISOString()}&createdBefore=${before.toISOString()}`
      for (let after = ''; ; ) {
        const page = listOf(expectOk(await get(`/v1/payments?${span}&after=${after}`)))
        yield* page
        const last = page.at(-1)
        if (!last) return
        after = last.id
      }
    },
    cancel: async (id) => {
      const answer = await post(`/v1/payments/${id}/cancel`, {}, `cancel ${id}`)
      return answer.status === 200 ? toPayment(answer.body) : retrieve(id)
    },
    refund: async ({ refundId, providerPaymentId, amount }) => {
      const wanted = { amount: amount.amountMinor, metadata: { refundId } }
      const answer = await post(`/v1/payments/${providerPaymentId}/refunds`, wanted, refundId)
      if (answer.status >= 400 && !AT_THE_DOOR.has(answer.status)) throw new RefundRefused(errorCode(answer))
      const made = toRefund(expectOk(answer))
      // The first answer to its key may be long ago: what it is now is the answer.
      return (await retrieve(providerPaymentId)).refunds.find(({ id }) => id === made.id) ?? made
    },
    readWebhook: (headers, body, now) => {
      if (!isGenuine(headers['sandbox-signature'], body, options.webhookSecret, now)) return undefined
      return toEvent(body)
    },
    close: http.close,
  }
}

/** `t=<seconds>,v1=<HMAC-SHA256 of "t.body">`, at most five minutes old and hardly from the future. */
function isGenuine(header: string | string[] | undefined, body: Buffer, secret: string, now: Date): boolean {
  const match = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(typeof header === 'string' ? header : '')
  if (!match) return false
  const [, t = '', given = ''] = match
  const ageSeconds = now.getTime() / 1000 - Number(t)
  if (ageSeconds > FRESH_SECONDS || ageSeconds < -CLOCK_SKEW_SECONDS) return false
  const expected = createHmac('sha256', secret).update(`${t}.`).update(body).digest()
  return timingSafeEqual(expected, Buffer.from(given, 'hex'))
}

function toEvent(body: Buffer): WebhookEvent | undefined {
  try {
    const event = recordOf(JSON.parse(body.toString('utf8')))
    const type = textOf(event, 'type')
    const about = /^(payment|refund|dispute)\./.test(type) ? recordOf(recordOf(event.data).payment) : undefined
    return {
      eventId: textOf(event, 'id'),
      type,
      providerPaymentId: about ? textOf(about, 'id') : null,
      claimsCapture: type === 'payment.succeeded',
    }
  } catch {
    return undefined
  }
}

const errorCode = ({ status, body }: CallAnswer): string =>
  status < 400 ? '' : String((body as { error?: { code?: unknown } }).error?.code ?? status)

function expectOk(answer: CallAnswer): unknown {
  if (answer.status >= 300) throw new CallFailed(`The sandbox answered ${answer.status} ${errorCode(answer)}.`, true)
  return answer.body
}

/** A 422 is the sandbox's "I will not even try": nothing happened, and the buyer may try something else. */
function expectCharge(answer: CallAnswer): unknown {
  if (answer.status === 422)
    throw new ChargeRefused({
      code: 'invalid-token',
      message: 'The payment provider does not accept this token.',
      retryable: true,
    })
  return expectOk(answer)
}
