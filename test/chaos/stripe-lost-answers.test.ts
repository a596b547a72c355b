import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { VariantId } from '#kernel/ids.ts'
import { ADDRESS, type Reply, send } from '../kit/buyer.ts'
import type { Fault } from '../kit/stripe/faults.ts'
import { type Bought, type StripeShop, stripeShop, type Two, twoInstances, violationsOf } from '../kit/stripe-shop.ts'

/** P4 (d, e) over Stripe: one Idempotency-Key charges once, whatever becomes of Stripe's answer, over two instances. */
let at: StripeShop
let two: Two
let mug: VariantId
beforeAll(async () => {
  at = await stripeShop({ PAYMENT_TIMEOUT_MS: '1000' })
  two = await twoInstances(at)
  mug = await at.shop.aProduct('mug', { units: 1_000 })
})
afterAll(async () => {
  await two.close()
  await at.close()
})
afterEach(() => at.stripe.clearFaults())

const AT_ONCE = 50
const url = (i: number): string => two.urls[i % 2] as string
const fifty = (one: (i: number) => Promise<Reply>): Promise<Reply[]> =>
  Promise.all(Array.from({ length: AT_ONCE }, (_, i) => one(i)))
const pay = ({ paymentId, headers }: Bought, key: string, i = 0, token = 'pm_card_visa') =>
  send(
    url(i),
    'POST',
    `/v1/payments/${paymentId}/attempts`,
    { method: 'stripe', token },
    { ...headers, 'idempotency-key': key },
  )
const settleBoth = () => Promise.all([at.settle(), two.settle()])
/** What Stripe's own books have of a payment. */
const atStripe = ({ paymentId }: Bought) =>
  Object.values(at.stripe.ledger().intents).filter(({ metadata }) => metadata.paymentId === paymentId)

const FAULTS: readonly (readonly [string, Fault])[] = [
  ['a time-out after the effect', { kind: 'silence', at: 'after' }],
  ['an answer after our time-out, the effect too', { kind: 'silence', at: 'before', delayMs: 1_300 }],
  ['a 500 after the effect, kept for the key', { kind: 'error', at: 'after' }],
  ['a 500 after the effect, forgotten', { kind: 'error', at: 'after', kept: false }],
  ['a reset after the effect', { kind: 'reset', at: 'after' }],
  ['HTML after the effect', { kind: 'html', at: 'after', status: 502 }],
  ['HTML with a 200 after the effect', { kind: 'html', at: 'after', status: 200 }],
  ['half of the answer', { kind: 'cut' }],
]

test.each(FAULTS)('%s: 50 at once with one key are one charge', async (_what, fault) => {
  const order = await at.anOrder(mug)
  const key = randomUUID()
  at.stripe.faults({ match: { method: 'POST', path: '^/v1/payment_intents$' }, times: 3, fault })
  const answers = await fifty((i) => pay(order, key, i))
  at.stripe.clearFaults()
  const codes = new Set(answers.map(({ status, body }) => `${status} ${body?.code ?? body?.status}`))
  for (const code of codes) expect(['201 succeeded', '201 processing', '409 platform.in-progress']).toContain(code)
  expect([...codes].some((code) => code.startsWith('201'))).toBe(true)

  for (let minutes = 0; minutes < 4; minutes += 1) {
    await settleBoth()
    at.advance(0.5)
  }
  // What is late at Stripe itself comes after we asked, and only its webhooks tell.
  if ('delayMs' in fault) await pause(fault.delayMs)
  await at.hand(...(at.eventsByPayment().get(order.paymentId) ?? []).map((event) => at.webhookOf(event)))
  await settleBoth()
  const first = answers.find(({ status }) => status === 201)
  const later = await Promise.all([pay(order, key, 0), pay(order, key, 1)])
  expect(later.map(({ status, body }) => ({ status, body }))).toEqual(
    [0, 1].map(() => ({ status: 201, body: first?.body })),
  )
  expect(atStripe(order)).toMatchObject([{ captured: order.totalMinor, refunded: 0 }])
  expect(await at.readPayment(order)).toMatchObject({ status: 'captured', attempts: [{ status: 'succeeded' }] })
  expect((await at.readOrder(order)).status).toBe('paid')
  expect(await violationsOf(at)).toEqual([])
})

test('50 orders of one cart at once with one key: one order, one payment; then one charge', async () => {
  const items = [{ variantId: mug, quantity: 1 }]
  const ready = { items, email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
  const { body: cart } = await at.send('POST', '/v1/carts', ready)
  const headers = { 'x-cart-token': cart.token, 'idempotency-key': randomUUID() }
  const answers = await fifty((i) => send(url(i), 'POST', '/v1/orders', { cartId: cart.id }, headers))
  const placed = answers.filter(({ status }) => status === 201).map(({ body }) => body)
  expect(placed.length).toBeGreaterThan(0)
  for (const { status, body } of answers)
    if (status !== 201) expect([status, body.code]).toEqual([409, 'platform.in-progress'])
  expect(new Set(placed.map(({ id }) => id)).size).toBe(1)
  const [{ id, token, payment, total }] = placed
  const [count] = await at.query(sql<{ orders: number; payments: number }>`
    select (select count(*)::int from orders.orders where cart_id = ${cart.id}) as orders,
      (select count(*)::int from payments.payments where order_id = ${id}) as payments`)
  expect(count).toEqual({ orders: 1, payments: 1 })
  const order = { id, token, paymentId: payment.id, totalMinor: total.amountMinor, headers: { 'x-order-token': token } }
  await Promise.all(Array.from({ length: 10 }, (_, i) => pay(order, randomUUID(), i)))
  await settleBoth()
  expect(atStripe(order)).toMatchObject([{ captured: total.amountMinor }])
  expect(await violationsOf(at)).toEqual([])
})

test('another body under the key is 422; another payment or another buyer has a scope of its own', async () => {
  const [mine, theirs] = [await at.anOrder(mug), await at.anOrder(mug)]
  const key = randomUUID()
  const first = await pay(mine, key)
  expect(first).toMatchObject({ status: 201, body: { status: 'succeeded' } })
  for (const i of [0, 1])
    expect(await pay(mine, key, i, 'pm_card_mastercard')).toMatchObject({
      status: 422,
      body: { code: 'platform.idempotency-key-reused' },
    })
  const other = await pay(theirs, key, 1)
  expect(other).toMatchObject({
    status: 201,
    body: { status: 'succeeded', paymentId: theirs.paymentId },
    replayed: false,
  })
  const foreign = { ...mine, headers: theirs.headers }
  expect(await pay(foreign, key, 1)).toMatchObject({ status: 404, body: { code: 'payments.not-found' } })
  expect(await pay(mine, key, 1)).toMatchObject({ status: 201, body: first.body, replayed: true })
  await settleBoth()
  for (const order of [mine, theirs]) expect(atStripe(order)).toMatchObject([{ captured: order.totalMinor }])
  expect(await violationsOf(at)).toEqual([])
})
