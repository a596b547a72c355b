import type Stripe from 'stripe'
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
  stripe = await startStripe({ refundMs: 60_000, ...options })
  sdk = sdkOf(stripe)
  open.push(stripe)
}
const types = () => stripe.events().map(({ type }) => type)
const NOTHING = { captured: 0, refunded: 0, refundsPending: 0, disputed: 0, lost: 0, balance: 0 }

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

  test('is shown with its charge, the ten newest of them', async () => {
    await start({ latencyMs: 0 })
    const { id: payment_intent } = await sdk.paymentIntents.create(paid())
    for (let amount = 1; amount <= 12; amount++) await sdk.refunds.create({ payment_intent, amount })
    const { latest_charge } = await sdk.paymentIntents.retrieve(payment_intent, { expand: ['latest_charge.refunds'] })
    const { refunds } = latest_charge as Stripe.Charge
    expect(refunds).toMatchObject({ has_more: true, data: { length: 10, 0: { amount: 12 } } })
    const all: number[] = []
    for await (const { amount } of sdk.refunds.list({ payment_intent, limit: 5 })) all.push(amount)
    expect(all).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  })

  test('of what was not taken is refused', async () => {
    await start()
    const open = [
      paid('pm_card_visa', { capture_method: 'manual' }),
      paid('pm_card_authenticationRequired'),
      paid('pm_processing'),
    ]
    for (const { id } of await Promise.all(open.map((params) => sdk.paymentIntents.create(params))))
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

test('the ledger agrees with the objects, whatever went wrong on the way', async () => {
  await start({
    latencyMs: 0,
    faults: [
      { rate: 0.1, match: { method: 'POST' }, fault: { kind: 'error', at: 'after' } },
      { rate: 0.1, match: { method: 'POST' }, fault: { kind: 'reset', at: 'after' } },
      { rate: 0.1, match: { method: 'POST' }, fault: { kind: 'html', at: 'before', status: 502 } },
    ],
  })
  const cards = ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_pendingRefund', 'pm_card_refundFail']
  const ask = (call: Promise<{ id: string }>) => call.catch((error) => error)
  const one = async (index: number) => {
    const capture_method = index % 3 === 0 ? ('manual' as const) : ('automatic' as const)
    const { id } = await ask(sdk.paymentIntents.create(paid(cards[index % 4], { capture_method })))
    if (!id) return
    if (capture_method === 'manual') await ask(sdk.paymentIntents.capture(id, { amount_to_capture: 1900 - index }))
    const refund = await ask(sdk.refunds.create({ payment_intent: id, amount: 100 + index }))
    if (refund.id && index % 2 === 0) stripe.failRefund(refund.id)
    if (index % 5 === 0) await ask(sdk.refunds.create({ payment_intent: id }))
  }
  await Promise.all(Array.from({ length: 100 }, (_, index) => one(index)))
  stripe.clearFaults()
  const sums = { captured: 0, given: 0 }
  for await (const { amount_captured, amount_refunded } of sdk.charges.list({ limit: 100 })) {
    sums.captured += amount_captured
    sums.given += amount_refunded
  }
  const { captured, refunded, refundsPending, balance } = stripe.ledger().totals.usd!
  expect({ captured, given: refunded + refundsPending }).toEqual(sums)
  expect(balance).toBe(sums.captured - sums.given)
  expect(sums.captured).toBeGreaterThan(50_000)
  expect(sums.given).toBeGreaterThan(5_000)
})
