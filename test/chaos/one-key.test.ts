import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fillCart, pay, placeOrder, send, variantOf, waitForOrder } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'

vi.setConfig({ testTimeout: 120_000 })

/** P4: one key over two service processes on one database, as real clients send it. */
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
const auditIsClean = async () => {
  const { code, output } = await cluster.stoa('audit', '--json')
  expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
}
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
