import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { shopComesToRest } from '../kit/at-rest.ts'
import { fillCart, pay, placeOrder, type Reply, send, variantOf, waitForOrder } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { verdict, whichHold } from '../kit/verdict.ts'
import { audited } from '../kit/witnesses.ts'

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
const AT_ONCE = 50

/** What of the answers to one key is not that of one effect: each the first one's bytes, or told to wait and come again. */
function unlike(replies: readonly Reply[]): string[] {
  const done = replies.filter(({ status }) => status === 201)
  const ids = new Set(done.map(({ body }) => body.id))
  const others = replies.filter(
    ({ status, body }) => status !== 201 && (status !== 409 || body?.code !== 'platform.in-progress'),
  )
  return [
    ...whichHold({
      [`${ids.size} effects of one key`]: ids.size !== 1,
      'one key has different answers': new Set(done.map(({ body }) => JSON.stringify(body))).size > 1,
    }),
    ...others.map(({ status, body }) => `${status} ${body?.code}`),
  ]
}
const auditedAtRest = async (): Promise<string[]> => {
  await shopComesToRest(database.ownerUrl, 30_000)
  return audited(cluster)
}

describe('P4: one key', () => {
  test('50 orders at once with one key over two processes: one order; another body and another caller are told apart', async () => {
    await cluster.stock({ 'one-key': 100 })
    const variantId = await variantOf(url(0), 'one-key')
    const cart = (await fillCart(url(0), [{ variantId, quantity: 1 }])) as Cart
    const key = randomUUID()
    const replies = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => placeOrder(url(i), cart, key)))
    const again = await placeOrder(url(0), cart, key)
    const violations = unlike([...replies, again])
    violations.push(...whichHold({ 'the answer is not replayed': again.status !== 201 || !again.replayed }))
    const otherBody = await send(
      url(0),
      'POST',
      '/v1/orders',
      { cartId: cart.id, expectedTotal: { amountMinor: 1, currency: 'USD' } },
      { 'x-cart-token': cart.token, 'idempotency-key': key },
    )
    violations.push(
      ...whichHold({
        [`another body with the key is ${otherBody.status}`]:
          otherBody.status !== 422 || otherBody.body?.code !== 'platform.idempotency-key-reused',
      }),
    )
    const other = (await fillCart(url(1), [{ variantId, quantity: 1 }])) as Cart
    const otherCaller = await placeOrder(url(1), other, key)
    violations.push(
      ...whichHold({
        [`another buyer with the key is ${otherCaller.status}`]: otherCaller.status !== 201,
        "another buyer with the key has the first one's order": otherCaller.body.id === again.body.id,
      }),
      ...(await auditedAtRest()),
    )
    verdict({ promise: 'P4', tried: 'orders with one key over two processes', n: replies.length, violations })
  })

  test('50 payments at once with one key: one attempt, one charge', async () => {
    await cluster.stock({ 'one-charge': 100 })
    const cart = (await fillCart(url(0), [{ variantId: await variantOf(url(0), 'one-charge'), quantity: 1 }])) as Cart
    const order = (await placeOrder(url(0), cart)).body
    const key = randomUUID()
    const replies = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => pay(url(i), order, 'tok_ok', key)))
    expect(await waitForOrder(url(0), order, ['paid'])).toBe('paid')
    const again = await pay(url(1), order, 'tok_ok', key)
    expect(again).toMatchObject({ status: 201, replayed: true, body: { status: 'succeeded' } })
    const { body } = await send(url(0), 'GET', `/v1/payments/${order.payment.id}`, undefined, {
      'x-order-token': order.token,
    })
    const violations = [
      ...unlike([...replies, again]),
      ...whichHold({
        [`${body.attempts.length} attempts of one key`]: body.attempts.length !== 1,
        [`the attempt is ${body.attempts[0]?.status}`]: body.attempts[0]?.status !== 'succeeded',
        [`${body.captured.amountMinor} taken for ${order.total.amountMinor}`]:
          body.captured.amountMinor !== order.total.amountMinor,
      }),
      ...(await auditedAtRest()),
    ]
    verdict({ promise: 'P4', tried: 'payments with one key over two processes', n: replies.length, violations })
  })
})
