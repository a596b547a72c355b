import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fillCart, pay, placeOrder, type Reply, send, variantOf, waitForOrder } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'

vi.setConfig({ testTimeout: 120_000 })

/** Races over two service processes on one database, as real buyers run them: over HTTP. */
let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2 })
}, 60_000)
afterAll(async () => {
  await cluster.stop()
  await database.drop()
})

type Cart = { id: string; token: string }
const url = (i: number) => cluster.services[i % 2]!.url
const statuses = (replies: readonly Reply[]) =>
  Object.fromEntries([...Map.groupBy(replies, ({ status }) => status)].map(([status, same]) => [status, same.length]))
const auditIsClean = async () => {
  const { code, output } = await cluster.stoa('audit', '--json')
  expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
}
const serverErrors = () => cluster.services.map((service) => service.output()).join('')

describe('P2: the last units', () => {
  test.each([1, 7])('200 buyers of %i: exactly as many orders, the rest 409, nothing else', async (units) => {
    const handle = `last-${units}`
    await cluster.stock({ [handle]: units })
    const variantId = await variantOf(url(0), handle)
    const carts = (await Promise.all(
      Array.from({ length: 200 }, (_, i) => fillCart(url(i), [{ variantId, quantity: 1 }])),
    )) as Cart[]
    const replies = await Promise.all(carts.map((cart, i) => placeOrder(url(i + 1), cart)))
    expect(statuses(replies), serverErrors()).toEqual({ 201: units, 409: 200 - units })
    const refused = replies.find(({ status }) => status === 409)
    expect(refused?.body).toMatchObject({
      code: 'catalog.out-of-stock',
      errors: [{ variantId, wanted: 1, available: 0 }],
    })
    await auditIsClean()
  })

  test('two SKUs in opposite order, and staff count one of them meanwhile: no deadlock, no error, no unit too many', async () => {
    await cluster.stock({ 'storm-a': 20, 'storm-b': 20 })
    const [a, b] = [await variantOf(url(0), 'storm-a'), await variantOf(url(0), 'storm-b')]
    const lines = (i: number) => (i % 2 ? [a, b] : [b, a]).map((variantId) => ({ variantId, quantity: 1 }))
    const carts = (await Promise.all(Array.from({ length: 60 }, (_, i) => fillCart(url(i), lines(i))))) as Cart[]
    const owner = await cluster.asOwner()
    const adjust = (change: number) =>
      send(
        url(1),
        'POST',
        '/v1/inventory/adjustments',
        { variantId: b, location: 'main', change, reason: 'counted' },
        owner,
      )
    const [adjusted, ...replies] = await Promise.all([adjust(5), ...carts.map((cart, i) => placeOrder(url(i), cart))])
    expect(adjusted.status).toBe(201)
    expect(statuses(replies), serverErrors()).toEqual({ 201: 20, 409: 40 })
    await auditIsClean()
  })
})

describe('P4: one key', () => {
  test('50 orders at once with one key over two processes: one order; another body and another caller are told apart', async () => {
    await cluster.stock({ 'one-key': 100 })
    const variantId = await variantOf(url(0), 'one-key')
    const cart = (await fillCart(url(0), [{ variantId, quantity: 1 }])) as Cart
    const key = randomUUID()
    const replies = await Promise.all(Array.from({ length: 50 }, (_, i) => placeOrder(url(i), cart, key)))
    const again = await placeOrder(url(0), cart, key)
    expect(new Set([...replies, again].filter(({ status }) => status === 201).map(({ body }) => body.id)).size).toBe(1)
    expect(again).toMatchObject({ status: 201, replayed: true })
    for (const { status } of replies) expect([201, 409]).toContain(status)
    const otherBody = await send(
      url(0),
      'POST',
      '/v1/orders',
      { cartId: cart.id, expectedTotal: { amountMinor: 1, currency: 'USD' } },
      { 'x-cart-token': cart.token, 'idempotency-key': key },
    )
    expect(otherBody).toMatchObject({ status: 422, body: { code: 'platform.idempotency-key-reused' } })
    const other = (await fillCart(url(1), [{ variantId, quantity: 1 }])) as Cart
    const otherCaller = await placeOrder(url(1), other, key)
    expect(otherCaller.status).toBe(201)
    expect(otherCaller.body.id).not.toBe(again.body.id)
  })

  test('50 payments at once with one key: one attempt, one charge', async () => {
    await cluster.stock({ 'one-charge': 100 })
    const cart = (await fillCart(url(0), [{ variantId: await variantOf(url(0), 'one-charge'), quantity: 1 }])) as Cart
    const order = (await placeOrder(url(0), cart)).body
    const key = randomUUID()
    const replies = await Promise.all(Array.from({ length: 50 }, (_, i) => pay(url(i), order, 'tok_ok', key)))
    expect(await waitForOrder(url(0), order, ['paid'])).toBe('paid')
    const again = await pay(url(1), order, 'tok_ok', key)
    expect(again).toMatchObject({ status: 201, replayed: true, body: { status: 'succeeded' } })
    expect(new Set([...replies, again].filter(({ status }) => status === 201).map(({ body }) => body.id)).size).toBe(1)
    for (const { status } of replies) expect([201, 409]).toContain(status)
    const { body } = await send(url(0), 'GET', `/v1/payments/${order.payment.id}`, undefined, {
      'x-order-token': order.token,
    })
    expect(body).toMatchObject({ captured: order.total, attempts: [{ status: 'succeeded' }] })
    await auditIsClean()
  })
})
