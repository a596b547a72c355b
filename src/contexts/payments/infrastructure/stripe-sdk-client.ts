import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import Stripe from 'stripe'
import type { CallWatch } from '#platform/resilience/call-watch.ts'
import { CallFailed, makeHttpClient } from '#platform/resilience/http-client.ts'
import { CALLING_PROVIDERS } from './calling-providers.ts'

/** The version of Stripe's API that the adapter was written for: the account's own does not matter. */
const API_VERSION = '2026-10-28.endive'
const KEY_IN_USE_REPEATS = 5

/** Stripe's plain no (400, 402 or 404), after which what was asked has not happened, but for what `intent` tells. */
export class StripeSaidNo extends CallFailed {
  readonly type: string | undefined
  readonly code: string | undefined
  readonly param: string | undefined
  readonly decline_code: string | undefined
  readonly advice_code: string | undefined
  readonly #intent: unknown
  constructor({ statusCode, rawType, code, param, decline_code, advice_code, payment_intent }: StripeError) {
    super(`Stripe answered ${statusCode} ${code ?? rawType}.`, true)
    this.type = rawType
    this.code = code
    this.param = param
    this.decline_code = decline_code
    this.advice_code = advice_code
    this.#intent = payment_intent
  }
  /** The PaymentIntent as that left it, if it says so. Not a field: a log would show its secrets. */
  get intent(): unknown {
    return this.#intent
  }
}

/** A 5xx that came again with its key, as it will for a day: what was asked has ended long ago, with or without effect. */
export class StripeKeptError extends CallFailed {}

type OurCall = { readonly urgent: boolean; readonly signal: AbortSignal; wasSent: boolean }
type StripeError = InstanceType<typeof Stripe.errors.StripeError>

/** Whether Stripe has said no for good to what was asked. */
export const isFinal = (error: unknown): error is StripeSaidNo =>
  error instanceof StripeSaidNo && error.type !== 'idempotency_error'

export type StripeSdk = {
  readonly webhooks: Stripe['webhooks']
  /** Runs all that one call of ours takes: together it ends within the time-out. An urgent one is waited for by a buyer. */
  readonly within: <Answer>(run: () => Promise<Answer>, how?: { readonly urgent?: boolean }) => Promise<Answer>
  /** Asks Stripe once; throws StripeSaidNo and, for everything else that is no answer, CallFailed. */
  readonly ask: <Answer>(call: (stripe: Stripe) => Promise<Answer>) => Promise<Answer>
  readonly close: () => Promise<void>
}

/**
 * Stripe's SDK over our own HTTP client, which repeats, gives up and limits for it: the SDK repeats nothing, follows no
 * redirect and sends no telemetry, and its errors, which hold whole objects, go no further than here.
 */
export function connectStripe(options: {
  readonly url: string | undefined
  readonly secretKey: string
  readonly timeoutMs: number
  readonly watch?: CallWatch | undefined
}): StripeSdk {
  const { timeoutMs, watch } = options
  const { protocol, hostname, port, origin } = new URL(options.url ?? 'https://api.stripe.com')
  const http = makeHttpClient({ origin, timeoutMs, ...CALLING_PROVIDERS, watch })
  const ours = new AsyncLocalStorage<OurCall>()
  const send: typeof fetch = async (url, init) => {
    const { urgent, signal } = ours.getStore() ?? { urgent: false, signal: http.deadline() }
    const response = await http.fetch({ urgent })(url, { ...init, signal })
    if (response.status >= 300 && response.status < 400) throw new CallFailed('Stripe answered with a redirect.', true)
    return response
  }
  const stripe = new Stripe(options.secretKey, {
    apiVersion: API_VERSION,
    httpClient: Stripe.createFetchHttpClient(send),
    protocol: protocol === 'http:' ? 'http' : 'https',
    host: hostname,
    port: port || (protocol === 'http:' ? 80 : 443),
    maxNetworkRetries: 0,
    telemetry: false,
    timeout: timeoutMs,
  })
  return {
    webhooks: stripe.webhooks,
    within: (run, { urgent = false } = {}) => ours.run({ urgent, signal: http.deadline(), wasSent: false }, run),
    ask: async (call) => {
      const mine = ours.getStore()
      for (let repeat = 0; ; repeat += 1) {
        try {
          const answer = await call(stripe)
          if (mine) mine.wasSent = true
          return answer
        } catch (thrown) {
          const error = toOurs(thrown, mine?.wasSent ?? false)
          if (mine) mine.wasSent ||= error.sent
          if (!isKeyInUse(thrown) || repeat === KEY_IN_USE_REPEATS) throw error
          await pause(50 * 2 ** repeat * (0.5 + Math.random()), undefined, mine && { signal: mine.signal }).catch(
            () => {
              throw error
            },
          )
        }
      }
    },
    close: http.close,
  }
}

/** Whether the same call is still under way there: its answer will be ours too. */
const isKeyInUse = (error: unknown): error is StripeError =>
  error instanceof Stripe.errors.StripeError && error.statusCode === 409

function toOurs(error: unknown, wasSent: boolean): CallFailed {
  if (error instanceof Stripe.errors.StripeConnectionError) {
    const cause: unknown = error.detail
    if (!(cause instanceof CallFailed)) return new CallFailed('Stripe did not answer.', false)
    // What went before may have had its effect, so that the call as a whole was sent.
    return wasSent && !cause.sent ? new CallFailed(cause.message, cause.answered, { cause }) : cause
  }
  if (!(error instanceof Stripe.errors.StripeError)) return new CallFailed('Stripe answered with something else.', true)
  if (isPlainNo(error)) return new StripeSaidNo(error)
  const Failed = error.headers?.['idempotent-replayed'] === 'true' ? StripeKeptError : CallFailed
  return new Failed(`Stripe answered ${error.statusCode ?? 'no JSON'} ${error.code ?? ''}.`, !isKeyInUse(error))
}

const isPlainNo = ({ statusCode, rawType }: StripeError): boolean =>
  (statusCode === 400 && rawType !== undefined) || statusCode === 402 || statusCode === 404
