import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditShop } from '../../../src/cli/audit.ts'
import { type Buying, openForBuying, type Placed } from '../orders/buying.ts'

/** Bank transfer, invoice, cash: the order waits with its goods for days until staff say that the money is there. */
let buying: Buying
beforeAll(async () => {
  buying = await openForBuying({ PAYMENT_PROVIDERS: 'sandbox,manual', MANUAL_HOLD_DAYS: '5' })
})
afterAll(() => buying.close())

const settle = () => buying.shop.app.settle()
const byHand = (order: Placed, token = 'bank-transfer') =>
  buying.send('POST', `/v1/payments/${order.body.payment.id}/attempts`, { method: 'manual', token }, order.headers)
const record = async (order: Placed, more: object = {}, role = 'finance') =>
  buying.send(
    'POST',
    `/v1/payments/${order.body.payment.id}/receipts`,
    { amount: order.body.total, reference: 'LEE ANN 4711', ...more },
    { ...(await buying.staff(role)), 'idempotency-key': randomUUID() },
  )
const waiting = async (variant: object = {}): Promise<Placed> => {
  const order = await buying.anOrder(variant)
  expect((await byHand(order)).body).toMatchObject({ status: 'processing' })
  return order
}
const violations = async () =>
  (await auditShop(buying.shop.app, true, buying.shop.clock.now)).flatMap(({ id, violations }) =>
    violations.map((violation) => ({ id, ...violation })),
  )
const days = (n: number) => buying.shop.clock.advance(n * 24 * 60)

test('recorded days later, the order is paid and its goods are its own', async () => {
  const order = await waiting()
  days(4)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'pending' })
  expect(await record(order)).toMatchObject({
    status: 201,
    body: { status: 'captured', captured: order.body.total, attempts: [{ status: 'succeeded' }] },
  })
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'paid', paymentStatus: 'paid' })
  expect(await buying.stock(order.body.items[0].variantId)).toMatchObject({ held: 0, committed: 2 })
  const [row] = await buying.rows(sql<{ text: string }>`
    select m::text as text from payments.manual_payments m where payment_id = ${order.body.payment.id}`)
  expect(row?.text).not.toContain('LEE ANN')
  expect(await violations()).toEqual([])
})

test('two of staff at once record it once', async () => {
  const order = await waiting()
  const answers = await Promise.all(Array.from({ length: 10 }, () => record(order)))
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 9 }, () => 409)])
  const entries = await buying.rows(sql`select 1 from payments.ledger where payment_id = ${order.body.payment.id}`)
  expect(entries).toHaveLength(1)
})

test.each([
  ['less', { amount: { amountMinor: 1, currency: 'USD' } }, 422, 'payments.amount-mismatch'],
  ['another currency', { amount: { amountMinor: 1, currency: 'EUR' } }, 422, 'payments.currency-mismatch'],
])('%s than is owed is not recorded', async (_what, more, status, code) => {
  const order = await waiting()
  expect(await record(order, more)).toMatchObject({ status, body: { code } })
  expect((await record(order, {}, 'support')).status).toBe(403)
})

test('money that is still to come is not recorded', async () => {
  const order = await waiting()
  const receivedAt = (minutes: number) => ({
    receivedAt: new Date(buying.shop.clock.now.getTime() + minutes * 60_000).toISOString(),
  })
  expect(await record(order, receivedAt(2))).toMatchObject({ status: 422, body: { code: 'payments.not-received-yet' } })
  expect((await buying.read(order)).body).toMatchObject({ status: 'pending' })
  expect((await record(order, receivedAt(-1_440))).status).toBe(201)
})

test('nobody came for it: the order expires when its days are over, and money that lands then holds the goods again', async () => {
  const order = await waiting()
  days(5.1)
  for (let i = 0; i < 3; i += 1) {
    await settle()
    buying.shop.clock.advance(1)
  }
  expect((await buying.read(order)).body).toMatchObject({ status: 'expired' })
  expect((await record(order)).status).toBe(201)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'paid' })
  expect(await violations()).toEqual([])
})

test('money that lands when the goods are gone goes back', async () => {
  const order = await waiting({ onHand: 2 })
  days(5.1)
  for (let i = 0; i < 3; i += 1) {
    await settle()
    buying.shop.clock.advance(1)
  }
  const { variantId } = order.body.items[0]
  const other = await buying.placed(await buying.aCart([{ variantId, quantity: 1 }]))
  await buying.pay(other)
  await settle()
  expect((await record(order)).status).toBe(201)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'cancelled', paymentStatus: 'refunded' })
  expect(await violations()).toEqual([])
})

test('a buyer who pays by card after all leaves the transfer, and the other way round', async () => {
  const order = await waiting()
  expect((await buying.pay(order)).body).toMatchObject({ status: 'succeeded' })
  await settle()
  expect((await buying.read(order)).body.status).toBe('paid')
  expect(await record(order)).toMatchObject({ status: 409, body: { code: 'payments.already-captured' } })

  const second = await buying.anOrder()
  await buying.pay(second, 'tok_requires_action')
  expect((await byHand(second)).body).toMatchObject({ status: 'processing' })
  const [there] = buying.sandbox.ledger().payments.filter(({ reference }) => reference === second.body.payment.id)
  expect(there?.status).toBe('cancelled')
  expect((await record(second)).status).toBe(201)
})

test('a transfer that nobody announced is recorded too', async () => {
  const order = await buying.anOrder()
  await buying.pay(order, 'tok_declined')
  expect((await record(order)).body).toMatchObject({ status: 'captured' })
  const [there] = buying.sandbox.ledger().payments.filter(({ reference }) => reference === order.body.payment.id)
  expect(there?.status).toBe('cancelled')
  await settle()
  expect((await buying.read(order)).body.status).toBe('paid')
  expect(await violations()).toEqual([])
})

test('its buyer cancels, and a refund is booked for staff to send', async () => {
  const cancelled = await waiting()
  buying.shop.clock.advance(1)
  const ended = await buying.send('POST', `/v1/orders/${cancelled.id}/cancellation`, {}, cancelled.headers)
  expect(ended.status).toBe(200)
  const paid = await waiting()
  await record(paid)
  await settle()
  const refund = { amount: { amountMinor: 500, currency: 'USD' }, reason: 'Scratched' }
  const given = await buying.send(
    'POST',
    `/v1/payments/${paid.body.payment.id}/refunds`,
    refund,
    await buying.asOwner(),
  )
  expect(given.body).toMatchObject({ status: 'succeeded' })
  await settle()
  expect((await buying.read(paid)).body).toMatchObject({ paymentStatus: 'partiallyRefunded' })
  expect(await violations()).toEqual([])
})

test('no such means', async () => {
  expect((await byHand(await buying.anOrder(), 'gold')).body).toMatchObject({
    status: 'declined',
    decline: { code: 'invalid-token', retryable: true },
  })
})
