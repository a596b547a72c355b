import { setTimeout as pause } from 'node:timers/promises'
import Stripe from 'stripe'
import { afterEach, describe, expect, test } from 'vitest'
import type { Fault } from '../kit/stripe/faults.ts'
import { failureOf, twentyDollars as paid, sdkOf } from '../kit/stripe/sdk.ts'
import { type StripeDouble, type StripeOptions, startStripe } from '../kit/stripe/server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

const TIMEOUT_MS = 400
let stripe: StripeDouble
let sdk: Stripe
async function start(options: StripeOptions = {}, more: Stripe.StripeConfig = {}): Promise<void> {
  stripe = await startStripe(options)
  sdk = sdkOf(stripe, { timeout: TIMEOUT_MS, ...more })
  open.push(stripe)
}
const payOnce = (key = 'k', more = {}) => sdk.paymentIntents.create(paid('pm_card_visa', more), { idempotencyKey: key })
const captured = () => stripe.ledger().totals.usd?.captured ?? 0
const posts = () => stripe.requests().filter(({ method }) => method === 'POST').length
const outcomeOf = (answer: any) => ({
  id: (answer.payment_intent ?? answer).id,
  status: answer.statusCode ?? answer.lastResponse.statusCode,
  replayed: (answer.headers ?? answer.lastResponse.headers)['idempotent-replayed'],
})

describe('an idempotency key brings the first answer again', () => {
  test.each([
    ['a payment', () => payOnce(), 200],
    ['a decline', () => sdk.paymentIntents.create(paid('pm_card_chargeDeclined'), { idempotencyKey: 'k' }), 402],
    ['what was not found', () => sdk.paymentIntents.capture('pi_0', {}, { idempotencyKey: 'k' }), 404],
    [
      'an error of Stripe',
      () => {
        if (posts() === 0) stripe.faults({ fault: { kind: 'error', at: 'after' } })
        return payOnce()
      },
      500,
    ],
  ] as const)('%s', async (_what, ask, status) => {
    await start()
    const answers = [await ask().catch((error) => error), await ask().catch((error) => error)].map(outcomeOf)
    expect(answers[0]).toMatchObject({ status, replayed: undefined })
    expect(answers[1]).toEqual({ ...answers[0], replayed: 'true' })
    expect(stripe.events().filter(({ type }) => type === 'payment_intent.created').length).toBeLessThanOrEqual(1)
  })

  test('also of a confirm, a capture, a cancel, a refund and an update', async () => {
    await start()
    const { id } = await payOnce('made', { capture_method: 'manual' })
    const twice = async (ask: (options: Stripe.RequestOptions) => Promise<object>, key: string) =>
      expect(await ask({ idempotencyKey: key })).toEqual(await ask({ idempotencyKey: key }))
    await twice((options) => sdk.paymentIntents.update(id, { metadata: { a: 'b' } }, options), 'update')
    await twice((options) => sdk.paymentIntents.capture(id, { amount_to_capture: 1500 }, options), 'capture')
    await twice((options) => sdk.refunds.create({ payment_intent: id, amount: 500 }, options), 'refund')
    const { id: other } = await sdk.paymentIntents.create({ ...paid(), confirm: false })
    await twice((options) => sdk.paymentIntents.confirm(other, {}, options), 'confirm')
    const { id: third } = await sdk.paymentIntents.create({ ...paid(), confirm: false })
    await twice((options) => sdk.paymentIntents.cancel(third, {}, options), 'cancel')
    expect(stripe.ledger().totals.usd).toMatchObject({ captured: 3500, refunded: 500 })
  })

  test('for a day', async () => {
    await start()
    const first = await payOnce()
    stripe.advance(24 * 3600_000 - 1000)
    expect((await payOnce()).id).toBe(first.id)
    stripe.advance(1000)
    expect((await payOnce()).id).not.toBe(first.id)
  })
})

describe('an idempotency key is refused', () => {
  test.each([
    ['with other parameters', () => payOnce('k', { amount: 2001 })],
    ['with a parameter more', () => payOnce('k', { description: 'More' })],
    ['for another endpoint', () => sdk.refunds.create({ payment_intent: 'pi_0' }, { idempotencyKey: 'k' })],
  ])('%s', async (_what, ask) => {
    await start()
    await payOnce()
    const refused = await failureOf(ask())
    expect(refused).toBeInstanceOf(Stripe.errors.StripeIdempotencyError)
    expect(refused).toMatchObject({ statusCode: 400, rawType: 'idempotency_error' })
    expect(captured()).toBe(2000)
  })

  test('while it is in use, and twenty at once are one payment', async () => {
    await start({ latencyMs: 1_000 }, { timeout: 5_000 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => payOnce().catch((error) => error)))
    const refused = answers.filter(({ code }) => code === 'idempotency_key_in_use')
    expect(refused).toHaveLength(19)
    expect(refused[0]).toMatchObject({ statusCode: 409, headers: { 'stripe-should-retry': 'true' } })
    expect(captured()).toBe(2000)
  })

  test('which the SDK repeats by itself when it may', async () => {
    await start({ latencyMs: 300 }, { maxNetworkRetries: 5, timeout: 5_000 })
    const answers = await Promise.all(Array.from({ length: 5 }, () => payOnce()))
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
    expect(captured()).toBe(2000)
  })
})

test.each([
  ['a validation that failed', () => payOnce('k', { amount: 49 })],
  ['an unknown parameter', () => payOnce('k', { colour: 'red' })],
])('%s leaves the key free', async (_what, ask) => {
  await start()
  await failureOf(ask())
  expect(await payOnce()).toMatchObject({ status: 'succeeded' })
})

const { StripeAPIError, StripeConnectionError, StripeRateLimitError, StripeCardError } = Stripe.errors
/** What is ordered, what the SDK makes of it, what it has cost by then, and what another try with the same key brings. */
const FAULTS: readonly (readonly [
  Fault,
  unknown,
  number,
  'succeeded' | typeof StripeAPIError | typeof StripeCardError,
])[] = [
  [{ kind: 'error', at: 'before' }, StripeAPIError, 0, 'succeeded'],
  [{ kind: 'error', at: 'before', status: 503 }, StripeAPIError, 0, 'succeeded'],
  [{ kind: 'error', at: 'before', kept: true }, StripeAPIError, 0, StripeAPIError],
  [{ kind: 'error', at: 'after' }, StripeAPIError, 2000, StripeAPIError],
  [{ kind: 'error', at: 'after', kept: false, status: 502 }, StripeAPIError, 2000, 'succeeded'],
  [{ kind: 'rate-limit' }, StripeRateLimitError, 0, 'succeeded'],
  [{ kind: 'card', paymentMethod: 'pm_card_chargeDeclined' }, StripeCardError, 0, StripeCardError],
  [{ kind: 'silence', at: 'before' }, StripeConnectionError, 0, 'succeeded'],
  [{ kind: 'silence', at: 'after' }, StripeConnectionError, 2000, 'succeeded'],
  [{ kind: 'silence', at: 'after', delayMs: 2 * TIMEOUT_MS }, StripeConnectionError, 2000, 'succeeded'],
  [{ kind: 'html', at: 'before', status: 502 }, StripeAPIError, 0, 'succeeded'],
  [{ kind: 'html', at: 'after', status: 502 }, StripeAPIError, 2000, 'succeeded'],
  [{ kind: 'html', at: 'after', status: 200 }, StripeAPIError, 2000, 'succeeded'],
  [{ kind: 'cut' }, StripeConnectionError, 2000, 'succeeded'],
  [{ kind: 'redirect', to: 'http://127.0.0.1:1/' }, StripeAPIError, 0, 'succeeded'],
]

describe('a fault', () => {
  test.each(FAULTS)('%j', async (fault, error, cost, again) => {
    await start()
    stripe.faults({ match: { method: 'POST', path: '^/v1/payment_intents$' }, fault })
    expect(await failureOf(payOnce())).toBeInstanceOf(error)
    expect(captured()).toBe(cost)
    const second = await payOnce().catch((failure) => failure)
    if (again === 'succeeded') expect(second).toMatchObject({ status: 'succeeded', amount_received: 2000 })
    else expect(second).toBeInstanceOf(again)
    expect(captured()).toBe(again === 'succeeded' ? 2000 : cost)
    expect(stripe.faultsWaiting()).toBe(0)
  })

  // A connection that is closed the SDK tries again by itself, once, with the same key, whatever it was told.
  test.each([
    ['before', 1],
    ['after', 1],
    ['before', 2],
    ['after', 2],
  ] as const)('that resets the connection %s the effect, %s times', async (at, times) => {
    await start()
    stripe.faults({ times, fault: { kind: 'reset', at } })
    const answer = await payOnce().catch((error) => error)
    if (times === 1) expect(answer).toMatchObject({ status: 'succeeded' })
    else expect(answer).toBeInstanceOf(StripeConnectionError)
    expect(posts()).toBe(2)
    expect(captured()).toBe(times === 2 && at === 'before' ? 0 : 2000)
    await payOnce()
    expect(captured()).toBe(2000)
  })

  test('lets the effect come after the caller has given up, and its key is in use until then', async () => {
    await start()
    stripe.faults({ fault: { kind: 'silence', at: 'before', delayMs: 2 * TIMEOUT_MS } })
    expect(await failureOf(payOnce())).toBeInstanceOf(StripeConnectionError)
    expect(captured()).toBe(0)
    expect(await failureOf(payOnce())).toMatchObject({ code: 'idempotency_key_in_use' })
    await pause(2 * TIMEOUT_MS)
    expect(captured()).toBe(2000)
    expect(await payOnce()).toMatchObject({ status: 'succeeded' })
    expect(captured()).toBe(2000)
  })

  test.each<[Fault, (answer: any) => unknown]>([
    [
      { kind: 'changed', set: { currency: 'eur' } },
      ({ currency, status }) => currency === 'eur' && status === 'succeeded',
    ],
    [{ kind: 'changed', without: ['status'] }, (answer) => !('status' in answer) && answer.currency === 'usd'],
    [{ kind: 'huge' }, ({ ballast }) => ballast.length === 10_000_000],
  ])('%j changes the answer only', async (fault, changes) => {
    await start({ faults: [{ fault }] }, { timeout: 5_000 })
    expect(changes(await payOnce())).toBe(true)
    expect(await payOnce()).toMatchObject({ currency: 'usd', amount: 2000, status: 'succeeded' })
  })

  test('meets what it is meant for, so often as was asked', async () => {
    await start()
    stripe.faults({ match: { method: 'GET', path: '/pi_' }, times: 2, fault: { kind: 'error', at: 'after' } })
    const { id } = await payOnce()
    for (const _ of [1, 2]) await failureOf(sdk.paymentIntents.retrieve(id))
    expect(await sdk.paymentIntents.retrieve(id)).toMatchObject({ status: 'succeeded' })
  })

  test('comes by chance, the same for the same seed', async () => {
    const patternOf = async (seed: number) => {
      await start({ seed, latencyMs: 0, faults: [{ rate: 0.5, fault: { kind: 'rate-limit' } }] })
      const pattern: boolean[] = []
      for (let index = 0; index < 30; index++)
        pattern.push(
          await sdk.paymentIntents.list().then(
            () => true,
            () => false,
          ),
        )
      return pattern.join()
    }
    expect(await patternOf(1)).toBe(await patternOf(1))
    expect(await patternOf(1)).not.toBe(await patternOf(2))
    stripe.clearFaults()
    for (let index = 0; index < 10; index++) await sdk.paymentIntents.list()
  })
})
