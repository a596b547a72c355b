import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { fillCart, pay, placeOrder, type Reply, send, variantOf, waitForOrder } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { verdict, whichHold } from '../kit/verdict.ts'
import { audited } from '../kit/witnesses.ts'

vi.setConfig({ testTimeout: 120_000 })

/** P8 over two service processes on one database: what staff do with one order's money, all at once. */
let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
let staff: { authorization: string }
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2, env: { PAYMENT_CAPTURE: 'manual' } })
  staff = await cluster.asOwner()
  await cluster.stock({ raced: 500 })
}, 60_000)
afterAll(async () => {
  await cluster.stop()
  await database.drop()
})

const url = (i: number) => cluster.services[i % 2]!.url
const usd = (amountMinor: number) => ({ amountMinor, currency: 'USD' })
const post = (i: number, path: string, body: object) => send(url(i), 'POST', path, body, staff)

/** An order of five units at 10.00, authorised: its money is there to be taken. */
async function anAuthorisedOrder() {
  const lines = [{ variantId: await variantOf(url(0), 'raced'), quantity: 5 }]
  const order = (await placeOrder(url(0), (await fillCart(url(0), lines)) as { id: string; token: string })).body
  expect((await pay(url(1), order)).body).toMatchObject({ status: 'succeeded' })
  return order
}

const ALLOWED = new Set([200, 201, 409])
const refusedOtherwise = (replies: readonly Reply[]): string[] =>
  replies.filter(({ status }) => !ALLOWED.has(status)).map(({ status, body }) => `${status} ${JSON.stringify(body)}`)

/** What the oracles say when all refunds have been sent; asked until they hold, for half a minute. */
async function auditedAtRest(): Promise<string[]> {
  let broken: string[] = []
  await vi
    .waitFor(
      async () => {
        broken = await audited(cluster)
        expect(broken).toEqual([])
      },
      { timeout: 30_000, interval: 1_000 },
    )
    .catch(() => undefined)
  return broken
}
const doneOf = (replies: readonly Reply[]) => replies.filter(({ status }) => status < 300)

test('P8: 30 at once per order: captures, refunds of amounts and of lines, cancellations; sums never exceed', async () => {
  const orders = await Promise.all(Array.from({ length: 6 }, anAuthorisedOrder))
  const raced = await Promise.all(
    orders.map(async (order, at) => {
      const payment = `/v1/payments/${order.payment.id}`
      const itemId = order.items[0].id
      const kinds = [
        () => post(at, `${payment}/capture`, {}),
        (i: number) => post(i, `${payment}/refunds`, { amount: usd(700), reason: 'late' }),
        (i: number) =>
          post(i, `${payment}/refunds`, {
            lines: [{ itemId, quantity: 1, restock: i % 4 === 2 }],
            ...(i % 3 === 0 ? { shipping: true } : {}),
            reason: 'broken',
          }),
        (i: number) => post(i, `${payment}/refunds`, { shipping: { amount: usd(100) }, reason: 'late' }),
        // Half of the orders are cancelled in the middle of it, the others shipped.
        (i: number) => post(i, `/v1/orders/${order.id}/${at % 2 ? 'cancellation' : 'shipments'}`, {}),
      ]
      await post(at, `${payment}/capture`, {})
      await waitForOrder(url(0), order, ['paid'])
      return Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          (kinds[((i * 7) % 31) % kinds.length] as (i: number) => Promise<Reply>)(i),
        ),
      )
    }),
  )
  const violations = refusedOtherwise(raced.flat())
  expect(cluster.services.map((one) => one.output()).join('')).not.toMatch(/request failed/)
  for (const [at, order] of orders.entries()) {
    // A cancellation that comes first gives everything back: then it is the only one that is done.
    expect(doneOf(raced[at] as Reply[]).length).toBeGreaterThanOrEqual(at % 2 ? 1 : 2)
    const { body } = await send(url(0), 'GET', `/v1/orders/${order.id}`, undefined, staff)
    const [refunded, shippingRefunded] = [body.refunded.amountMinor, body.shippingRefunded.amountMinor]
    violations.push(
      ...whichHold({
        [`${refunded} of ${order.total.amountMinor} given back`]: refunded > order.total.amountMinor,
        [`${shippingRefunded} of ${order.shipping.amountMinor} for shipping given back`]:
          shippingRefunded > order.shipping.amountMinor,
        [`${body.items[0].refundedUnits} of 5 units given back`]: body.items[0].refundedUnits > 5,
      }),
    )
  }
  violations.push(...(await auditedAtRest()))
  verdict({
    promise: 'P8',
    tried: 'captures, refunds and cancellations, 30 at once per order',
    n: raced.flat().length,
    violations,
  })
})

test('P8: one authorised payment, 30 captures at once: taken once', async () => {
  const order = await anAuthorisedOrder()
  const path = `/v1/payments/${order.payment.id}/capture`
  const replies = await Promise.all(Array.from({ length: 30 }, (_, i) => post(i, path, {})))
  const { body } = await send(url(0), 'GET', `/v1/payments/${order.payment.id}`, undefined, staff)
  expect(body).toMatchObject({ status: 'captured' })
  const done = doneOf(replies).length
  const violations = [
    ...refusedOtherwise(replies),
    ...whichHold({
      [`${done} of the captures are done`]: done !== 1,
      [`${body.captured.amountMinor} of ${order.total.amountMinor} taken`]:
        body.captured.amountMinor !== order.total.amountMinor,
    }),
    ...(await auditedAtRest()),
  ]
  verdict({ promise: 'P8', tried: 'captures of one payment at once', n: replies.length, violations })
})
