import Stripe from 'stripe'
import { afterEach, describe, expect, test } from 'vitest'
import { openInbox } from '../kit/inbox.ts'
import { type StripeDouble, type StripeOptions, startStripe } from '../kit/stripe/server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

const SECRET = 'whsec_test'

async function aStripe(options: StripeOptions = {}): Promise<{ stripe: StripeDouble; sdk: Stripe }> {
  const stripe = await startStripe(options)
  open.push(stripe)
  return { stripe, sdk: sdkOf(stripe) }
}

/** The real SDK, which tries once unless said otherwise. */
const sdkOf = (stripe: { port: number; apiKey: string }, more: Stripe.StripeConfig = {}): Stripe =>
  new Stripe(stripe.apiKey, {
    ...{ host: '127.0.0.1', port: stripe.port, protocol: 'http', telemetry: false, maxNetworkRetries: 0 },
    ...more,
  })

const paid = (
  paymentMethod = 'pm_card_visa',
  more: Partial<Stripe.PaymentIntentCreateParams> = {},
): Stripe.PaymentIntentCreateParams => ({
  amount: 2000,
  currency: 'usd',
  confirm: true,
  payment_method: paymentMethod,
  allowed_payment_method_types: ['card'],
  metadata: { paymentId: 'pay_1' },
  ...more,
})

const failureOf = async (call: Promise<unknown>): Promise<any> => {
  const outcome = await call.then(
    () => undefined,
    (error) => error,
  )
  if (outcome === undefined) throw new Error('It should have failed.')
  return outcome
}

describe('a payment', () => {
  test.each([
    ['pm_card_visa', 'automatic', 'succeeded', ['charge.succeeded', 'payment_intent.succeeded'], 2000],
    ['pm_card_visa', 'manual', 'requires_capture', ['charge.succeeded', 'payment_intent.amount_capturable_updated'], 0],
    ['pm_card_authenticationRequired', 'automatic', 'requires_action', ['payment_intent.requires_action'], 0],
    ['pm_processing', 'automatic', 'processing', ['payment_intent.processing'], 0],
  ] as const)('%s, captured %s: %s', async (card, capture, status, events, received) => {
    const { stripe, sdk } = await aStripe()
    const intent = await sdk.paymentIntents.create(paid(card, { capture_method: capture }))
    expect(intent).toMatchObject({ status, amount_received: received, metadata: { paymentId: 'pay_1' } })
    expect(stripe.events().map(({ type }) => type)).toEqual(['payment_intent.created', ...events])
    expect(stripe.ledger().totals.usd?.captured ?? 0).toBe(received)
    expect(await sdk.paymentIntents.retrieve(intent.id)).toEqual(intent)
  })

  test.each([
    ['pm_card_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', ''],
  ])('%s is a 402, and the intent goes on', async (card, code, declineCode) => {
    const { stripe, sdk } = await aStripe()
    const declined = await failureOf(sdk.paymentIntents.create(paid(card)))
    expect(declined).toBeInstanceOf(Stripe.errors.StripeCardError)
    expect(declined).toMatchObject({ statusCode: 402, code, requestId: expect.stringMatching(/^req_/) })
    expect(declined.decline_code).toBe(declineCode)
    const intent = await sdk.paymentIntents.retrieve(declined.payment_intent.id)
    expect(intent).toMatchObject({
      status: 'requires_payment_method',
      payment_method: null,
      last_payment_error: { code },
    })
    expect(stripe.events().map(({ type }) => type)).toContain('payment_intent.payment_failed')
    const again = await sdk.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' })
    expect(again).toMatchObject({ status: 'succeeded', last_payment_error: null })
    expect(stripe.ledger().intents[intent.id]).toMatchObject({ captured: 2000, balance: 2000 })
  })
})

describe('an idempotency key', () => {
  test.each(['pm_card_visa', 'pm_card_chargeDeclined'])('brings the first answer again: %s', async (card) => {
    const { stripe, sdk } = await aStripe()
    const ask = () => sdk.paymentIntents.create(paid(card), { idempotencyKey: 'k' }).catch((error) => error)
    const [first, again] = [await ask(), await ask()]
    const idOf = (answer: any) => answer.payment_intent?.id ?? answer.id
    expect(idOf(again)).toBe(idOf(first))
    expect((again.headers ?? again.lastResponse.headers)['idempotent-replayed']).toBe('true')
    expect(stripe.events().filter(({ type }) => type === 'payment_intent.created')).toHaveLength(1)
  })

  test('refuses other parameters, and in use says so', async () => {
    const { sdk } = await aStripe({ latencyMs: 50 })
    const first = sdk.paymentIntents.create(paid(), { idempotencyKey: 'k' })
    const second = failureOf(sdk.paymentIntents.create(paid(), { idempotencyKey: 'k' }))
    expect(await second).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' })
    await first
    const other = failureOf(sdk.paymentIntents.create(paid('pm_card_visa', { amount: 2001 }), { idempotencyKey: 'k' }))
    expect(await other).toMatchObject({ statusCode: 400, rawType: 'idempotency_error' })
  })
})

test('webhooks carry a signature of each secret, and come until they are taken', async () => {
  const inbox = await openInbox()
  open.push(inbox)
  inbox.answer = 503
  const { sdk } = await aStripe({
    webhookUrl: inbox.url,
    secrets: [SECRET, 'whsec_next'],
    webhooks: { retryMs: 10 },
  })
  const intent = await sdk.paymentIntents.create(paid())
  await expect.poll(() => inbox.received.length).toBeGreaterThanOrEqual(6)
  inbox.answer = 204
  const [webhook] = inbox.received
  for (const secret of [SECRET, 'whsec_next'])
    expect(
      sdk.webhooks.constructEvent(webhook!.body, webhook!.headers['stripe-signature'] as string, secret),
    ).toMatchObject({ object: 'event', data: { object: { object: expect.any(String) } } })
  expect(() =>
    sdk.webhooks.constructEvent(webhook!.body, webhook!.headers['stripe-signature'] as string, 'whsec_other'),
  ).toThrow()
  const told = () =>
    new Set(
      inbox.received
        .map(({ body }) => JSON.parse(body.toString()))
        .flatMap(({ type, data }) => (data.object.id === intent.id ? [type] : [])),
    )
  await expect.poll(told).toEqual(new Set(['payment_intent.created', 'payment_intent.succeeded']))
})
