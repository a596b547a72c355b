import { afterAll, beforeAll, expect, it } from 'vitest'
import { audit } from '#src/audit/audit.ts'
import { bearer } from '../users/people.ts'
import { type Buying, openForBuying, type Placed } from './buying.ts'

let buying: Buying
beforeAll(async () => {
  buying = await openForBuying()
})
afterAll(() => buying.close())

it('the books hold after every kind of life that an order has', async () => {
  const { shop, send, staff } = buying
  const fulfilment = await staff('fulfilment')
  const support = await staff('support')
  const on = (order: Placed, path: string, body: object, headers: Record<string, string> = fulfilment) =>
    send(path === 'status' ? 'PATCH' : 'POST', `/v1/orders/${order.id}/${path}`, body, headers)
  const units = (order: Placed, quantity: number) => [{ itemId: order.body.items[0].id, quantity }]

  const free = await buying.aVariant({ requiresShipping: false, prices: [{ currency: 'USD', amountMinor: 0 }] })
  await buying.placed(await buying.aCart([{ variantId: free, quantity: 1 }]))
  const shipped = await buying.aPaidOrder()
  await on(shipped, 'shipments', { lines: units(shipped, 1) })
  await on(shipped, 'shipments', {})
  const delivered = await buying.aPaidOrder({ requiresShipping: false })
  await on(delivered, 'status', { status: 'delivered' })
  const returned = await buying.aPaidOrder()
  await on(returned, 'status', { status: 'shipped' })
  await on(returned, 'status', { status: 'delivered' })
  for (const restock of [true, false]) {
    await on(returned, 'returns', { lines: [{ ...units(returned, 1)[0], restock }], reason: 'x' })
  }
  const refunded = await buying.aPaidOrder()
  await on(refunded, 'cancellation', { reason: 'Out of print' }, support)
  const customer = bearer(await buying.people.customer('bob@example.com'))
  const goods = [{ variantId: await buying.aVariant(), quantity: 1 }]
  const regretted = await buying.placed(await buying.aCart(goods, {}, customer))
  await buying.pay(regretted)
  await shop.app.settle()
  expect((await on(regretted, 'cancellation', {}, customer)).body).toMatchObject({ status: 'cancelled' })
  const dropped = await buying.anOrder()
  await on(dropped, 'cancellation', {}, dropped.headers)
  const declined = await buying.anOrder()
  expect((await buying.pay(declined, 'tok_declined')).body.status).toBe('declined')
  await shop.app.settle()
  // A payment that has an object at its provider is cancelled there first; the next sweep frees the stock.
  for (const minutes of [16, 1]) {
    shop.clock.advance(minutes)
    await shop.app.settle()
  }
  await buying.placed(declined.cart)
  await shop.app.settle()

  const orders: Placed[] = [shipped, delivered, returned, refunded, dropped, declined]
  const states = await Promise.all(orders.map(async (order) => (await buying.read(order)).body.status))
  expect(states).toEqual(['shipped', 'delivered', 'returned', 'cancelled', 'cancelled', 'expired'])
  const findings = await audit(shop.app.database.db, { consumers: shop.app.consumers, now: shop.clock.now, all: true })
  expect(findings.flatMap(({ id, violations }) => violations.map((violation) => ({ id, ...violation })))).toEqual([])
})
