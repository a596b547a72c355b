import { afterAll, beforeAll, expect, it } from 'vitest'
import { report, showOrder } from '#src/cli/show.ts'
import { type Buying, openForBuying } from './buying.ts'

let buying: Buying
beforeAll(async () => {
  buying = await openForBuying()
})
afterAll(() => buying.close())

it('shows all about an order by its number, without its token', async () => {
  const order = await buying.aPaidOrder({ sku: 'MUG-1' })
  await buying.send('POST', `/v1/orders/${order.id}/cancellation`, {}, order.headers)
  await buying.shop.app.settle()
  const shown = await showOrder(buying.shop.app, order.body.number)
  expect(shown).toMatchObject({
    order: { id: order.id, status: 'cancelled', payment: { status: 'captured' } },
    holds: [{ quantity: 2, held: 0, committed: 0, released: 2 }],
    attempts: [{ provider: 'sandbox', status: 'succeeded' }],
    refunds: [{ amountMinor: 2900 }],
  })
  expect(shown!.events.map((event) => event.type)).toEqual(
    expect.arrayContaining(['orders.placed.v1', 'payments.captured.v1', 'orders.paid.v1', 'orders.cancelled.v1']),
  )
  expect(shown!.timeline.map(({ where }) => where)).toEqual(
    expect.arrayContaining(['order', 'stock', 'attempt', 'event']),
  )
  const text = report(shown!)
  for (const part of [`Order ${order.body.number}`, 'MUG-1', '29.00 USD', 'cancelled (paid → cancelled)', 'Refunds'])
    expect(text).toContain(part)
  expect(JSON.stringify(shown) + text).not.toContain(order.token)
})

it('finds nothing for an unknown number', async () => {
  expect(await showOrder(buying.shop.app, '999999')).toBeUndefined()
})
