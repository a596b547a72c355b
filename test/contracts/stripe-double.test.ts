import Stripe from 'stripe'
import { afterEach, describe, expect, test } from 'vitest'
import { failureOf, twentyDollars as paid, sdkOf } from '../kit/stripe/sdk.ts'
import { type StripeDouble, type StripeOptions, startStripe } from '../kit/stripe/server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

let stripe: StripeDouble
let sdk: Stripe
async function start(options: StripeOptions = {}): Promise<void> {
  stripe = await startStripe({ processingMs: 60_000, refundMs: 60_000, ...options })
  sdk = sdkOf(stripe)
  open.push(stripe)
}
const types = () => stripe.events().map(({ type }) => type)
const held = (more = {}) => sdk.paymentIntents.create(paid('pm_card_visa', { capture_method: 'manual', ...more }))
const asking = (more = {}) =>
  sdk.paymentIntents.create(paid('pm_card_authenticationRequired', { return_url: 'https://shop.test/back', ...more }))
const idOf = (answer: any): string => (answer.payment_intent ?? answer).id

describe('a payment', () => {
  test.each([
    ['pm_card_visa', 'automatic', 'succeeded', ['charge.succeeded', 'payment_intent.succeeded'], 2000],
    ['pm_card_visa', 'manual', 'requires_capture', ['charge.succeeded', 'payment_intent.amount_capturable_updated'], 0],
    ['pm_card_authenticationRequired', 'automatic', 'requires_action', ['payment_intent.requires_action'], 0],
    ['pm_processing', 'automatic', 'processing', ['payment_intent.processing'], 0],
  ] as const)('%s, captured %s: %s', async (card, capture, status, events, received) => {
    await start()
    const intent = await sdk.paymentIntents.create(paid(card, { capture_method: capture }))
    expect(intent).toMatchObject({ status, amount_received: received, metadata: { paymentId: 'pay_1' } })
    expect(types()).toEqual(['payment_intent.created', ...events])
    expect(stripe.ledger().totals.usd?.captured ?? 0).toBe(received)
    expect(await sdk.paymentIntents.retrieve(intent.id)).toEqual(intent)
  })

  test.each([
    ['pm_card_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', ''],
  ])('%s is a 402, and the intent goes on', async (card, code, declineCode) => {
    await start()
    const declined = await failureOf(sdk.paymentIntents.create(paid(card)))
    expect(declined).toBeInstanceOf(Stripe.errors.StripeCardError)
    expect(declined).toMatchObject({ statusCode: 402, code, requestId: expect.stringMatching(/^req_/) })
    expect(declined.decline_code).toBe(declineCode)
    const intent = await sdk.paymentIntents.retrieve(idOf(declined), { expand: ['latest_charge'] })
    expect(intent).toMatchObject({
      ...{ status: 'requires_payment_method', payment_method: null, last_payment_error: { code } },
      latest_charge: { status: 'failed', paid: false },
    })
    const again = await sdk.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' })
    expect(again).toMatchObject({ status: 'succeeded', last_payment_error: null })
    expect(stripe.ledger().intents[intent.id]).toMatchObject({ captured: 2000, balance: 2000 })
    expect(types()).toEqual(
      ['payment_intent.created', 'charge.failed', 'payment_intent.payment_failed'].concat(
        ...['charge.succeeded', 'payment_intent.succeeded'],
      ),
    )
  })

  test.each([
    ['approve', 'pm_card_authenticationRequired', 'succeeded', 'succeeded', undefined],
    [
      'refuse',
      'pm_card_authenticationRequired',
      'requires_payment_method',
      'failed',
      'payment_intent_authentication_failure',
    ],
    ['approve', 'pm_card_threeDSecureRequiredChargeDeclined', 'requires_payment_method', 'succeeded', 'card_declined'],
  ] as const)('its buyer has to %s: %s is then %s', async (verdict, card, status, said, code) => {
    await start()
    const { id, next_action } = await asking({ payment_method: card })
    expect(next_action?.redirect_to_url).toMatchObject({ return_url: 'https://shop.test/back' })
    const url = next_action?.redirect_to_url?.url ?? ''
    expect(await (await fetch(url)).text()).toContain('Complete')
    const answer = await fetch(`${url}/${verdict}`, { method: 'POST', redirect: 'manual' })
    expect(answer.headers.get('location')).toMatch(
      new RegExp(`^https://shop.test/back\\?payment_intent=${id}.*${said}$`),
    )
    const intent = await sdk.paymentIntents.retrieve(id)
    expect(intent).toMatchObject({ status, next_action: null })
    expect(intent.last_payment_error?.code).toBe(code)
  })

  test.each([{ return_url: undefined }, { use_stripe_sdk: true }])(
    'its buyer goes on with the script: %j',
    async (more) => {
      await start()
      const intent = await asking(more)
      expect(intent).toMatchObject({
        next_action: { type: 'use_stripe_sdk' },
        client_secret: expect.stringContaining(intent.id),
      })
    },
  )

  test.each([
    [undefined, 'succeeded', 2000],
    ['decline', 'requires_payment_method', 0],
  ] as const)('that is processing ends: %s', async (verdict, status, captured) => {
    await start()
    const { id } = await sdk.paymentIntents.create(paid('pm_processing'))
    stripe.finish(id, verdict)
    expect(await sdk.paymentIntents.retrieve(id)).toMatchObject({ status })
    expect(stripe.ledger().intents[id]?.captured ?? 0).toBe(captured)
  })
})

describe('what is not allowed now is refused with the intent enclosed', () => {
  const made = {
    succeeded: () => sdk.paymentIntents.create(paid()),
    requires_capture: () => held(),
    processing: () => sdk.paymentIntents.create(paid('pm_processing')),
    requires_payment_method: () => sdk.paymentIntents.create({ amount: 2000, currency: 'usd' }),
    requires_action: () => asking(),
    canceled: async () => sdk.paymentIntents.cancel((await held()).id, { cancellation_reason: 'abandoned' }),
  } as const
  test.each([
    ['confirm', 'succeeded'],
    ['confirm', 'requires_capture'],
    ['confirm', 'processing'],
    ['confirm', 'requires_payment_method'],
    ['confirm', 'canceled'],
    ['capture', 'succeeded'],
    ['capture', 'requires_action'],
    ['capture', 'canceled'],
    ['cancel', 'succeeded'],
    ['cancel', 'processing'],
    ['cancel', 'canceled'],
  ] as const)('%s what is %s', async (verb, state) => {
    await start()
    const { id } = await made[state]()
    const before = stripe.ledger()
    const refused = await failureOf(sdk.paymentIntents[verb](id))
    expect(refused).toMatchObject({ statusCode: 400, code: 'payment_intent_unexpected_state' })
    expect(refused.payment_intent).toMatchObject({ id, status: state })
    expect(stripe.ledger()).toEqual(before)
  })
})

describe('authorised money', () => {
  test('says until when, and is taken all or in part; the rest is let go and is no refund', async () => {
    await start()
    const { id } = await held()
    const charge = async () =>
      (await sdk.paymentIntents.retrieve(id, { expand: ['latest_charge.refunds'] })).latest_charge as any
    const week = Date.now() / 1000 + 7 * 24 * 3600
    expect((await charge()).payment_method_details.card.capture_before).toBeCloseTo(week, -1)
    expect(await failureOf(sdk.paymentIntents.capture(id, { amount_to_capture: 2001 }))).toMatchObject({
      statusCode: 400,
    })
    expect(await sdk.paymentIntents.capture(id, { amount_to_capture: 1500 })).toMatchObject({
      ...{ status: 'succeeded', amount: 2000, amount_received: 1500, amount_capturable: 0 },
    })
    expect(await charge()).toMatchObject({
      ...{ captured: true, amount_captured: 1500, amount_refunded: 0, refunded: false, refunds: { data: [] } },
    })
    expect(stripe.ledger().intents[id]).toMatchObject({ captured: 1500, balance: 1500, refunded: 0 })
  })

  test.each([
    [
      'cancelled',
      (id: string) => sdk.paymentIntents.cancel(id, { cancellation_reason: 'requested_by_customer' }),
      'requested_by_customer',
    ],
    ['left for a week', () => stripe.advance(7 * 24 * 3600_000), 'expired'],
  ] as const)('is let go when it is %s', async (_how, end, reason) => {
    await start()
    const { id } = await held()
    await end(id)
    expect(await sdk.paymentIntents.retrieve(id, { expand: ['latest_charge'] })).toMatchObject({
      ...{ status: 'canceled', cancellation_reason: reason, amount_capturable: 0 },
      latest_charge: { captured: false, amount_captured: 0, refunded: false },
    })
    expect(types()).toContain('payment_intent.canceled')
    expect(types()).not.toContain('charge.refunded')
    expect(stripe.ledger().intents).toEqual({})
  })
})

test.each([
  [{ amount: 49 }, 'amount_too_small'],
  [{ currency: 'gbp', amount: 29 }, 'amount_too_small'],
  [{ amount: 100_000_000 }, 'amount_too_large'],
  [{ amount: 0 }, 'parameter_invalid_integer'],
  [{ amount: 10.5 }, 'parameter_invalid_integer'],
  [{ currency: 'isk', amount: 100_050 }, 'invalid_charge_amount_no_decimal_compatible'],
  [{ currency: 'ugx', amount: 100_050 }, 'invalid_charge_amount_no_decimal_compatible'],
  [{ currency: 'kwd', amount: 1001 }, 'parameter_invalid_integer'],
  [{ currency: 'USD' }, 'parameter_invalid_empty'],
  [{ currency: undefined }, 'parameter_missing'],
  [{ payment_method: 'tok_nonsense' }, 'resource_missing'],
  [{ payment_method_types: ['card'] }, 'payment_method_types_no_longer_supported'],
  [{ allowed_payment_method_types: undefined }, 'parameter_missing'],
  [{ automatic_payment_methods: { enabled: true } }, 'parameters_exclusive'],
  [{ colour: 'red' }, 'parameter_unknown'],
  [{ metadata: { note: 'x'.repeat(501) } }, 'parameter_invalid_empty'],
  [{ confirm: false, return_url: 'https://shop.test' }, 'parameter_invalid_empty'],
  [{ payment_method: undefined }, 'payment_intent_unexpected_state'],
])('refuses %j: %s', async (more, code) => {
  await start()
  const refused = await failureOf(sdk.paymentIntents.create(paid('pm_card_visa', more as object)))
  expect(refused).toBeInstanceOf(Stripe.errors.StripeInvalidRequestError)
  expect(refused).toMatchObject({ statusCode: 400, code })
  expect((await sdk.paymentIntents.list()).data).toEqual([])
  expect(stripe.events()).toEqual([])
})

test('takes what is right in each kind of currency', async () => {
  await start()
  for (const [currency, amount] of [
    ['isk', 100_000],
    ['ugx', 300_000],
    ['kwd', 1000],
    ['jpy', 50],
    ['gbp', 30],
  ] as const)
    expect(await sdk.paymentIntents.create(paid('pm_card_visa', { currency, amount }))).toMatchObject({
      amount_received: amount,
    })
})

test('answers 401 to another key and 404 to what it does not know', async () => {
  await start()
  const stranger = sdkOf({ ...stripe, apiKey: 'sk_of_yesterday' })
  expect(await failureOf(stranger.paymentIntents.create(paid()))).toBeInstanceOf(
    Stripe.errors.StripeAuthenticationError,
  )
  const unknown = { statusCode: 404, code: 'resource_missing' }
  expect(await failureOf(sdk.paymentIntents.retrieve('pi_0'))).toMatchObject(unknown)
  expect(await failureOf(sdk.refunds.create({ payment_intent: 'pi_0' }))).toMatchObject(unknown)
  expect(await failureOf(sdk.customers.list())).toMatchObject({ statusCode: 404 })
})
