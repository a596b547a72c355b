import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { auditShop } from '../../../src/cli/audit.ts'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { type Buying, openForBuying, type Placed } from '../orders/buying.ts'

/** A shop that only authorises: staff take the money, all or a part of it, once. */
let buying: Buying
beforeAll(async () => {
  buying = await openForBuying({ PAYMENT_CAPTURE: 'manual' })
})
afterAll(() => buying.close())
afterEach(() => enableFailpoints(''))

const settle = () => buying.shop.app.settle()

async function authorised(): Promise<Placed> {
  const order = await buying.anOrder()
  expect((await buying.pay(order)).body).toMatchObject({ status: 'succeeded' })
  await settle()
  return order
}
const capture = async (order: Placed, amountMinor?: number, key: string = randomUUID()) =>
  buying.send(
    'POST',
    `/v1/payments/${order.body.payment.id}/capture`,
    amountMinor === undefined ? {} : { amount: { amountMinor, currency: 'USD' } },
    { ...(await buying.staff('finance')), 'idempotency-key': key },
  )
const paymentOf = async (order: Placed) =>
  (await buying.send('GET', `/v1/payments/${order.body.payment.id}`, undefined, order.headers)).body
const takenAt = (order: Placed) =>
  buying.sandbox
    .ledger()
    .payments.filter(({ reference }) => reference === order.body.payment.id)
    .map(({ status, amountCaptured }) => [status, amountCaptured])
const violations = async () =>
  (await auditShop(buying.shop.app, true, buying.shop.clock.now)).flatMap(({ id, violations }) =>
    violations.map((violation) => ({ id, ...violation })),
  )

test('authorised, the order waits with its goods for days; captured, it is paid', async () => {
  const order = await authorised()
  expect((await buying.read(order)).body).toMatchObject({ status: 'pending', paymentStatus: 'authorised' })
  buying.shop.clock.advance(3 * 24 * 60)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'pending', paymentStatus: 'authorised' })
  expect(await buying.pay(order)).toMatchObject({ status: 409, body: { code: 'payments.already-authorised' } })
  const total = order.body.total.amountMinor
  expect(await capture(order)).toMatchObject({
    status: 201,
    body: { status: 'succeeded', amount: { amountMinor: total, currency: 'USD' } },
  })
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'paid', paymentStatus: 'paid', holdUntil: null })
  expect(takenAt(order)).toEqual([['succeeded', total]])
  expect(await violations()).toEqual([])
})

test('a part is captured once; the rest is let go', async () => {
  const order = await authorised()
  expect(await capture(order, order.body.total.amountMinor + 1)).toMatchObject({
    status: 422,
    body: { code: 'payments.capture-exceeds-authorised', authorised: order.body.total },
  })
  expect((await capture(order, 1000)).body).toMatchObject({ status: 'succeeded', amount: { amountMinor: 1000 } })
  expect(await capture(order)).toMatchObject({ status: 409, body: { code: 'payments.already-captured' } })
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'paid', paymentStatus: 'paid' })
  expect(await paymentOf(order)).toMatchObject({ status: 'captured', captured: { amountMinor: 1000 } })
  expect(takenAt(order)).toEqual([['succeeded', 1000]])
  expect(await violations()).toEqual([])
})

test('thirty captures at once take the money once', async () => {
  const order = await authorised()
  const answers = await Promise.all(Array.from({ length: 30 }, () => capture(order, 700)))
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(29)
  expect(takenAt(order)).toEqual([['succeeded', 700]])
})

test.each(['capture.before-call', 'capture.after-call'])('killed at %s, it is healed and taken once', async (place) => {
  const order = await authorised()
  const key = randomUUID()
  enableFailpoints(`${place}=error`)
  expect((await capture(order, 900, key)).status).toBe(500)
  enableFailpoints('')
  expect((await capture(order, 900, key)).status).toBe(409)
  buying.shop.clock.advance(1)
  await settle()
  expect(await capture(order, 900, key)).toMatchObject({ status: 201, body: { status: 'succeeded' } })
  expect(takenAt(order)).toEqual([['succeeded', 900]])
  await settle()
  expect((await buying.read(order)).body.status).toBe('paid')
})

test('what lapsed cannot be captured: the payment is open again, or its order ends', async () => {
  const order = await authorised()
  const [there] = buying.sandbox.ledger().payments.filter(({ reference }) => reference === order.body.payment.id)
  const { sandboxSecretKey } = buying.shop.app.config
  await fetch(`${buying.sandbox.url}/v1/payments/${there?.id}/cancel`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandboxSecretKey}` },
  })
  expect(await capture(order)).toMatchObject({ status: 201, body: { status: 'failed' } })
  expect(await paymentOf(order)).toMatchObject({ status: 'open', captured: { amountMinor: 0 } })
  await settle()
  buying.shop.clock.advance(16)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'expired', paymentStatus: 'unpaid' })
  expect(await violations()).toEqual([])
})

test('an authorisation that nobody captures is cancelled at the provider before its goods are free', async () => {
  const order = await authorised()
  buying.shop.clock.advance(7 * 24 * 60 + 1)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'pending' })
  await settle()
  expect(takenAt(order)).toEqual([['cancelled', 0]])
  buying.shop.clock.advance(1)
  await settle()
  expect((await buying.read(order)).body).toMatchObject({ status: 'expired' })
})

test('its buyer cancels an authorised order: the money is let go', async () => {
  const order = await authorised()
  expect((await buying.send('POST', `/v1/orders/${order.id}/cancellation`, {}, order.headers)).status).toBe(200)
  await settle()
  expect(takenAt(order)).toEqual([['cancelled', 0]])
  expect((await capture(order)).body.code).toBe('payments.cancelled')
})

test('who leaves the approval of their bank for another card is charged by that one only', async () => {
  const order = await buying.anOrder()
  const waiting = await buying.pay(order, 'tok_requires_action')
  expect(waiting.body).toMatchObject({ status: 'requiresAction', nextAction: { type: 'redirect' } })
  expect((await buying.pay(order, 'tok_ok')).body.status).toBe('succeeded')
  expect(takenAt(order)).toEqual([
    ['cancelled', 0],
    ['requires_capture', 0],
  ])
  expect((await paymentOf(order)).attempts).toMatchObject([{ status: 'cancelled' }, { status: 'succeeded' }])
})

test('a capture has its audit row', async () => {
  const order = await authorised()
  await capture(order, 800)
  const [row] = await buying.rows(sql`
    select action, after from platform.audit_log where subject = ${order.body.payment.id}`)
  expect(row).toMatchObject({ action: 'payments.capture', after: { captureMinor: 800, currency: 'USD' } })
})
