import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { VariantId } from '#kernel/ids.ts'
import { ADDRESS, type Reply, send } from '../kit/buyer.ts'
import type { Fault } from '../kit/stripe/faults.ts'
import { type Bought, type StripeShop, stripeShop, type Two, twoInstances, violationsOf } from '../kit/stripe-shop.ts'
import { verdict, whichHold } from '../kit/verdict.ts'

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

/** How Stripe and our books have an order's payment otherwise than charged once. */
async function notChargedOnce(order: Bought): Promise<string[]> {
  const taken = atStripe(order).map(({ captured, refunded }) => `${captured} taken, ${refunded} given back`)
  const { status, attempts } = (await at.readPayment(order)) as { status: string; attempts: { status: string }[] }
  const orderStatus = (await at.readOrder(order)).status
  return [
    ...whichHold({
      [`at Stripe: ${taken.join('; ') || 'nothing'}`]: taken.join() !== `${order.totalMinor} taken, 0 given back`,
      [`the payment is ${status}`]: status !== 'captured',
      [`attempts: ${attempts.map((one) => one.status)}`]:
        attempts.filter((one) => one.status === 'succeeded').length !== 1,
      [`the order is ${orderStatus}`]: orderStatus !== 'paid',
    }),
    ...(await violationsOf(at)),
  ]
}

test.each(FAULTS)('%s: 50 at once with one key are one charge', async (what, fault) => {
  const order = await at.anOrder(mug)
  const key = randomUUID()
  at.stripe.faults({ match: { method: 'POST', path: '^/v1/payment_intents$' }, times: 3, fault })
  const answers = await fifty((i) => pay(order, key, i))
  at.stripe.clearFaults()
  const codes = new Set(answers.map(({ status, body }) => `${status} ${body?.code ?? body?.status}`))
  const documented = ['201 succeeded', '201 processing', '409 platform.in-progress']
  const violations = [...codes].filter((code) => !documented.includes(code))
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
  expect((await at.readPayment(order)).attempts).toHaveLength(1)
  const isFirst = ({ status, body }: Reply) => status === 201 && JSON.stringify(body) === JSON.stringify(first?.body)
  violations.push(
    ...whichHold({ 'the key has another answer later': !later.every(isFirst) }),
    ...(await notChargedOnce(order)),
  )
  verdict({ promise: 'P4', tried: `payments with one key, ${what}`, n: answers.length, violations })
})

test('50 orders of one cart at once with one key: one order, one payment; then one charge', async () => {
  const items = [{ variantId: mug, quantity: 1 }]
  const ready = { items, email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
  const { body: cart } = await at.send('POST', '/v1/carts', ready)
  const headers = { 'x-cart-token': cart.token, 'idempotency-key': randomUUID() }
  const answers = await fifty((i) => send(url(i), 'POST', '/v1/orders', { cartId: cart.id }, headers))
  const placed = answers.filter(({ status }) => status === 201).map(({ body }) => body)
  expect(placed.length).toBeGreaterThan(0)
  const violations = answers.flatMap(({ status, body }) =>
    status === 201 || (status === 409 && body.code === 'platform.in-progress') ? [] : [`${status} ${body.code}`],
  )
  const [{ id, token, payment, total }] = placed
  const [count] = await at.query(sql<{ orders: number; payments: number }>`
    select (select count(*)::int from orders.orders where cart_id = ${cart.id}) as orders,
      (select count(*)::int from payments.payments where order_id = ${id}) as payments`)
  const order = { id, token, paymentId: payment.id, totalMinor: total.amountMinor, headers: { 'x-order-token': token } }
  await Promise.all(Array.from({ length: 10 }, (_, i) => pay(order, randomUUID(), i)))
  await settleBoth()
  violations.push(
    ...whichHold({
      [`${count?.orders} orders, ${count?.payments} payments of one cart`]: count?.orders !== 1 || count.payments !== 1,
    }),
    ...(await notChargedOnce(order)),
  )
  verdict({ promise: 'P4', tried: 'orders with one key, then ten payments at once', n: answers.length, violations })
})

test('another body under the key is 422; another payment or another buyer has a scope of its own', async () => {
  const [mine, theirs] = [await at.anOrder(mug), await at.anOrder(mug)]
  const key = randomUUID()
  const first = await pay(mine, key)
  expect(first).toMatchObject({ status: 201, body: { status: 'succeeded' } })
  const otherBodies = [await pay(mine, key, 0, 'pm_card_mastercard'), await pay(mine, key, 1, 'pm_card_mastercard')]
  const other = await pay(theirs, key, 1)
  const foreign = await pay({ ...mine, headers: theirs.headers }, key, 1)
  const again = await pay(mine, key, 1)
  await settleBoth()
  const violations = whichHold({
    'another body with the key is taken': otherBodies.some(
      ({ status, body }) => status !== 422 || body?.code !== 'platform.idempotency-key-reused',
    ),
    'the key of one payment answers for another': other.replayed || other.body?.paymentId !== theirs.paymentId,
    'another payment with the key is not made': other.status !== 201 || other.body?.status !== 'succeeded',
    "another buyer is answered with somebody's key":
      foreign.status !== 404 || foreign.body?.code !== 'payments.not-found',
    'the key has another answer later':
      again.status !== 201 || !again.replayed || JSON.stringify(again.body) !== JSON.stringify(first.body),
  })
  for (const order of [mine, theirs]) violations.push(...(await notChargedOnce(order)))
  verdict({ promise: 'P4', tried: 'keys with another body, payment and buyer', n: 6, violations })
})
