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
const NOTHING = { captured: 0, refunded: 0, refundsPending: 0, disputed: 0, lost: 0, balance: 0 }

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

  test('its buyer goes on with the script on the page when there is nowhere to return to', async () => {
    await start()
    const intent = await asking({ return_url: undefined })
    expect(intent).toMatchObject({
      next_action: { type: 'use_stripe_sdk' },
      client_secret: expect.stringContaining(intent.id),
    })
  })

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

describe('a refund', () => {
  test('of a part, of the rest, and never more', async () => {
    await start()
    const { id: payment_intent } = await sdk.paymentIntents.create(paid())
    const refund = (amount?: number) =>
      sdk.refunds.create({ payment_intent, metadata: { refundId: 'ref_1' }, ...(amount ? { amount } : {}) })
    expect(await refund(500)).toMatchObject({ status: 'succeeded', amount: 500, metadata: { refundId: 'ref_1' } })
    expect(await failureOf(refund(1501))).toMatchObject({ statusCode: 400 })
    expect(await refund()).toMatchObject({ amount: 1500 })
    expect(await failureOf(refund())).toMatchObject({ statusCode: 400, code: 'charge_already_refunded' })
    expect((await sdk.refunds.list({ payment_intent })).data.map(({ amount }) => amount)).toEqual([1500, 500])
    const { latest_charge } = await sdk.paymentIntents.retrieve(payment_intent, { expand: ['latest_charge.refunds'] })
    expect(latest_charge).toMatchObject({ amount_refunded: 2000, refunded: true, refunds: { data: [{}, {}] } })
    expect(stripe.ledger().totals.usd).toEqual({ ...NOTHING, captured: 2000, refunded: 2000 })
  })

  test.each([
    ['pm_card_pendingRefund', 'pending', 'finishRefund', 'succeeded', { refunded: 2000, balance: 0 }],
    ['pm_card_pendingRefund', 'pending', 'failRefund', 'failed', { refunded: 0, balance: 2000 }],
    ['pm_card_refundFail', 'succeeded', 'failRefund', 'failed', { refunded: 0, balance: 2000 }],
  ] as const)('of %s is %s and then, by %s, %s', async (card, first, command, last, sums) => {
    await start()
    const { id: payment_intent } = await sdk.paymentIntents.create(paid(card))
    const refund = await sdk.refunds.create({ payment_intent })
    expect(refund.status).toBe(first)
    expect(stripe.ledger().totals.usd).toMatchObject(
      first === 'pending' ? { refundsPending: 2000, refunded: 0 } : { refundsPending: 0, refunded: 2000 },
    )
    stripe[command](refund.id)
    stripe[command](refund.id)
    expect(await sdk.refunds.retrieve(refund.id)).toMatchObject({ status: last })
    expect(stripe.ledger().totals.usd).toEqual({ ...NOTHING, captured: 2000, ...sums })
    const told = ['charge.refunded', 'refund.created', ...(last === 'failed' ? ['refund.failed'] : [])]
    expect(types().slice(3)).toEqual([...told, 'refund.updated', 'charge.refund.updated'])
    const { latest_charge } = await sdk.paymentIntents.retrieve(payment_intent, { expand: ['latest_charge'] })
    expect(latest_charge).toMatchObject({ amount_refunded: sums.refunded, refunded: sums.refunded === 2000 })
  })

  test('of what was not taken is refused', async () => {
    await start()
    for (const { id } of [await held(), await asking()])
      expect(await failureOf(sdk.refunds.create({ payment_intent: id }))).toMatchObject({ statusCode: 400 })
  })
})

describe('a dispute', () => {
  test.each([
    ['won', { balance: 2000 }, ['charge.dispute.closed', 'charge.dispute.funds_reinstated']],
    ['lost', { lost: 2000 }, ['charge.dispute.closed']],
  ] as const)('is opened and %s', async (verdict, sums, events) => {
    await start()
    const { id } = await sdk.paymentIntents.create(paid())
    const dispute = stripe.dispute(id, { reason: 'product_not_received' })
    expect(stripe.ledger().totals.usd).toEqual({ ...NOTHING, captured: 2000, disputed: 2000 })
    expect(await failureOf(sdk.refunds.create({ payment_intent: id }))).toMatchObject({ code: 'charge_disputed' })
    expect((await sdk.disputes.list({ payment_intent: id })).data).toMatchObject([
      { id: dispute.id, amount: 2000, status: 'needs_response', reason: 'product_not_received' },
    ])
    stripe.closeDispute(dispute.id, verdict)
    expect(await sdk.disputes.retrieve(dispute.id)).toMatchObject({ status: verdict })
    expect(stripe.ledger().totals.usd).toEqual({ ...NOTHING, captured: 2000, ...sums })
    expect(types().slice(3)).toEqual(['charge.dispute.created', 'charge.dispute.funds_withdrawn', ...events])
  })

  test('comes by itself with one card', async () => {
    await start()
    const { id } = await sdk.paymentIntents.create(paid('pm_card_createDispute'))
    expect((await sdk.disputes.list({ payment_intent: id })).data).toHaveLength(1)
    const { latest_charge } = await sdk.paymentIntents.retrieve(id, { expand: ['latest_charge'] })
    expect(latest_charge).toMatchObject({ disputed: true })
  })
})

describe('a list', () => {
  test('is paged from the newest on, and bound in time', async () => {
    await start({ latencyMs: 0 })
    const made: string[] = []
    for (let index = 0; index < 7; index++)
      made.push((await sdk.paymentIntents.create({ amount: 2000, currency: 'usd' })).id)
    const all: string[] = []
    for await (const { id } of sdk.paymentIntents.list({ limit: 3 })) all.push(id)
    expect(all).toEqual(made.reverse())
    const now = Math.floor(Date.now() / 1000)
    const between = (gte: number, lt: number) => sdk.paymentIntents.list({ created: { gte, lt }, limit: 100 })
    expect((await between(now - 60, now + 60)).data).toHaveLength(7)
    expect((await between(now - 60, now - 30)).data).toEqual([])
    expect((await sdk.events.list({ type: 'payment_intent.created', limit: 5 })).has_more).toBe(true)
  })

  test('is searched by metadata, but not at once', async () => {
    await start({ searchLagMs: 30_000 })
    const { id } = await sdk.paymentIntents.create(paid('pm_card_visa', { metadata: { paymentId: "o'clock_1" } }))
    await sdk.paymentIntents.update(id, { metadata: { paymentId: 'pay_7', attemptId: 'att_1' } })
    const found = async (query: string) => (await sdk.paymentIntents.search({ query })).data.map((intent) => intent.id)
    expect(await found("metadata['paymentId']:'pay_7'")).toEqual([])
    stripe.searchLag(0)
    expect(await found("metadata['paymentId']:'pay_7'")).toEqual([id])
    expect(await found("metadata['paymentId']:'pay_7' AND status:'succeeded'")).toEqual([id])
    expect(await found("metadata['paymentId']:'pay_8'")).toEqual([])
    expect(await failureOf(found('paymentId=7'))).toMatchObject({ statusCode: 400 })
  })

  test('shows only what can be shown', async () => {
    await start()
    const { data } = await sdk.paymentIntents
      .create(paid())
      .then(() => sdk.paymentIntents.list({ expand: ['data.latest_charge'] }))
    expect(data).toMatchObject([{ latest_charge: { object: 'charge', balance_transaction: null } }])
    expect(await failureOf(sdk.paymentIntents.list({ expand: ['data.secrets'] }))).toMatchObject({ statusCode: 400 })
  })
})
