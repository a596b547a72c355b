import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { auditShop } from '../../../src/cli/audit.ts'
import { type Buying, openForBuying, type Placed } from './buying.ts'

let buying: Buying
let owner: Record<string, string>
let fulfilment: Record<string, string>
beforeAll(async () => {
  buying = await openForBuying()
})
afterAll(() => buying.close())
beforeEach(async () => {
  owner = await buying.asOwner()
  fulfilment = await buying.staff('fulfilment')
})

type Refund = { amount?: object; lines?: object[]; shipping?: true | object }
const usd = (amountMinor: number) => ({ amountMinor, currency: 'USD' })
const refund = (order: Placed, wanted: Refund, key: string = randomUUID()) =>
  buying.send(
    'POST',
    `/v1/payments/${order.body.payment.id}/refunds`,
    { reason: 'Broken', ...wanted },
    { ...owner, 'idempotency-key': key },
  )
const itemOf = (order: Placed): string => order.body.items[0].id
const variantOf = (order: Placed): string => order.body.items[0].variantId
const some = (order: Placed, quantity: number, restock?: boolean) => ({
  lines: [{ itemId: itemOf(order), quantity, ...(restock === undefined ? {} : { restock }) }],
})
const read = async (order: Placed) => (await buying.send('GET', `/v1/orders/${order.id}`, undefined, owner)).body
const ship = (order: Placed, quantity: number) =>
  buying.send('POST', `/v1/orders/${order.id}/shipments`, some(order, quantity), fulfilment)
const timeline = async (order: Placed) =>
  (await buying.send('GET', `/v1/orders/${order.id}/timeline`, undefined, owner)).body.data
const violations = async () => {
  await buying.shop.app.settle()
  return (await auditShop(buying.shop.app, true, buying.shop.clock.now)).flatMap(({ id, violations: found }) =>
    found.map(({ subject, detail }) => `${id} ${subject}: ${detail}`),
  )
}
/** Three mugs of 12.00, and 5.00 for sending them. */
const threeMugs = () => buying.aPaidOrder({}, 3)

describe('refunds by lines', () => {
  it('give back what the units were paid, and count them', async () => {
    const order = await threeMugs()
    expect(await refund(order, some(order, 1))).toMatchObject({
      status: 201,
      body: { status: 'succeeded', amount: usd(1200) },
    })
    await buying.shop.app.settle()
    expect(await read(order)).toMatchObject({
      status: 'paid',
      paymentStatus: 'partiallyRefunded',
      refunded: usd(1200),
      shippingRefunded: usd(0),
      items: [{ refundedUnits: 1, refunded: usd(1200), cancelled: 0 }],
    })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 10, held: 0, committed: 3 })
    const [told] = (await timeline(order)).filter(({ kind }: { kind: string }) => kind === 'refund-promised')
    expect(Object.keys(told.facts)).toEqual(['refundId'])
    const audited = await buying.send('GET', `/v1/audit-log?subject=${order.id}`, undefined, owner)
    expect(audited.body.data[0]).toMatchObject({
      action: 'orders.refund-lines',
      before: { lines: [{ itemId: itemOf(order), refundedUnits: 0, refundedMinor: 0 }] },
      after: { refundId: told.facts.refundId, lines: [{ refundedUnits: 1, refundedMinor: 1200 }] },
    })
    expect(await violations()).toEqual([])
  })

  it('part a taxed line of three, and its last unit makes it whole', async () => {
    const order = await buying.aPaidOrder({ prices: [{ currency: 'USD', amountMinor: 333 }], taxable: true }, 3)
    const paid = order.body.total.amountMinor - order.body.shipping.amountMinor
    const parts = []
    for (let unit = 0; unit < 3; unit += 1) parts.push((await refund(order, some(order, 1))).body.amount.amountMinor)
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeLessThanOrEqual(paid)
    expect((await refund(order, { shipping: true })).status).toBe(201)
    await buying.shop.app.settle()
    expect(await read(order)).toMatchObject({ paymentStatus: 'refunded', refunded: order.body.total })
    expect(await violations()).toEqual([])
  })

  it('never give back more units than were bought', async () => {
    const order = await threeMugs()
    expect((await refund(order, some(order, 2))).status).toBe(201)
    expect(await refund(order, some(order, 2))).toMatchObject({
      status: 409,
      body: { code: 'orders.too-many-units', errors: [{ pointer: '/lines/0/quantity', left: 1 }] },
    })
    const twice = { lines: [...some(order, 1).lines, ...some(order, 1).lines] }
    expect((await refund(order, twice)).body).toMatchObject({ errors: [{ pointer: '/lines/1/quantity', left: 0 }] })
    expect((await read(order)).items[0].refundedUnits).toBe(2)
  })

  it('never give back more than was taken, also beside refunds of amounts', async () => {
    const order = await threeMugs()
    expect((await refund(order, { amount: usd(3000) })).status).toBe(201)
    expect(await refund(order, some(order, 1))).toMatchObject({
      status: 409,
      body: { code: 'payments.refund-exceeds-captured', left: usd(1100) },
    })
    expect((await read(order)).items[0].refundedUnits).toBe(0)
  })

  it('give back shipping once at most, in parts or what is left', async () => {
    const order = await threeMugs()
    expect((await refund(order, { shipping: { amount: usd(200) } })).body.amount).toEqual(usd(200))
    expect(await refund(order, { shipping: { amount: usd(301) } })).toMatchObject({
      status: 409,
      body: { code: 'orders.refund-exceeds-shipping', left: usd(300) },
    })
    expect((await refund(order, { ...some(order, 1), shipping: true })).body.amount).toEqual(usd(1500))
    expect(await refund(order, { shipping: true })).toMatchObject({
      status: 409,
      body: { code: 'orders.nothing-to-refund' },
    })
    expect((await read(order)).shippingRefunded).toEqual(usd(500))
    expect(await violations()).toEqual([])
  })

  it.each([
    ['neither', {}],
    ['both', { amount: usd(100), shipping: true as const }],
  ])('name an amount or lines and shipping: %s is 422', async (_, wanted) => {
    expect(await refund(await threeMugs(), wanted)).toMatchObject({ status: 422, body: { code: 'platform.invalid' } })
  })

  it('refuse what is not there and who may not', async () => {
    const order = await threeMugs()
    expect(await refund(order, { lines: [{ itemId: 'item_01jd2zq8k5e6v9w3x7y2m4n6p8', quantity: 1 }] })).toMatchObject({
      status: 422,
      body: { code: 'orders.item-not-found' },
    })
    expect(await refund(order, { shipping: { amount: { amountMinor: 1, currency: 'EUR' } } })).toMatchObject({
      body: { code: 'payments.currency-mismatch' },
    })
    expect(await refund(await buying.anOrder(), some(order, 1))).toMatchObject({
      status: 409,
      body: { code: 'payments.not-captured' },
    })
    const url = `/v1/payments/${order.body.payment.id}/refunds`
    expect((await buying.send('POST', url, { reason: 'x', ...some(order, 1) }, fulfilment)).status).toBe(403)
  })

  it('happen once for one key, however often it is sent', async () => {
    const order = await threeMugs()
    const answers = await Promise.all(Array.from({ length: 10 }, () => refund(order, some(order, 1, true), 'one-key')))
    for (const { status } of answers) expect([201, 409]).toContain(status)
    expect(await refund(order, some(order, 1, true), 'one-key')).toMatchObject({
      status: 201,
      headers: { 'idempotent-replayed': 'true' },
    })
    expect((await read(order)).items).toMatchObject([{ refundedUnits: 1, cancelled: 1 }])
    expect(await violations()).toEqual([])
  })
})

describe('restock', () => {
  it('takes units that have not shipped off the order; what remains ships', async () => {
    const order = await threeMugs()
    expect((await refund(order, some(order, 2, true))).body.amount).toEqual(usd(2400))
    expect(await read(order)).toMatchObject({ status: 'paid', items: [{ cancelled: 2, refundedUnits: 2 }] })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 10, held: 0, committed: 1 })
    expect((await ship(order, 1)).body).toMatchObject({ status: 'shipped', fulfilment: 'shipped' })
    expect(await violations()).toEqual([])
  })

  it('does not empty an order of which nothing has shipped: that is a cancellation', async () => {
    const order = await threeMugs()
    expect(await refund(order, some(order, 3, true))).toMatchObject({
      status: 409,
      body: { code: 'orders.invalid-transition', detail: expect.stringContaining('cancel it') },
    })
    expect((await refund(order, some(order, 3))).status).toBe(201)
    expect(await violations()).toEqual([])
  })

  it('ends the shipping of an order of which a part has shipped', async () => {
    const order = await threeMugs()
    await ship(order, 1)
    expect((await refund(order, some(order, 2, true))).status).toBe(201)
    expect(await read(order)).toMatchObject({ status: 'shipped', fulfilment: 'shipped', items: [{ cancelled: 2 }] })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 9, held: 0, committed: 0 })
    expect(await violations()).toEqual([])
  })

  it('records shipped units as returned, after those that are still here', async () => {
    const order = await threeMugs()
    await ship(order, 2)
    expect((await refund(order, some(order, 2, true))).status).toBe(201)
    expect(await read(order)).toMatchObject({
      status: 'shipped',
      return: 'partial',
      items: [{ cancelled: 1, shipped: 2, returned: 1, refundedUnits: 2 }],
    })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 9, held: 0, committed: 0 })
    expect((await refund(order, some(order, 1, true))).status).toBe(201)
    expect(await read(order)).toMatchObject({ status: 'returned', return: 'returned' })
    expect(await violations()).toEqual([])
  })

  it('puts back what is there: not what was taken back before, whose money still goes', async () => {
    const order = await threeMugs()
    await ship(order, 3)
    const back = { lines: [{ itemId: itemOf(order), quantity: 2, restock: true }], reason: 'Broken' }
    await buying.send('POST', `/v1/orders/${order.id}/returns`, back, fulfilment)
    expect(await refund(order, some(order, 2, true))).toMatchObject({
      body: { code: 'orders.too-many-units', errors: [{ left: 1 }] },
    })
    expect((await refund(order, some(order, 2))).status).toBe(201)
    expect(await buying.stock(variantOf(order))).toMatchObject({ on_hand: 9 })
    expect(await violations()).toEqual([])
  })
})

describe('a refund that fails at the provider', () => {
  it('gives units and money back to the line; the goods stay where they are', async () => {
    const order = await threeMugs()
    const atProvider = async (amount: number) => {
      const held = buying.sandbox.ledger().payments.find(({ reference }) => reference === order.body.payment.id)
      await fetch(`${buying.sandbox.url}/v1/payments/${held?.id}/refunds`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk_sandbox_of_the_tests', 'content-type': 'application/json' },
        body: JSON.stringify({ amount }),
      })
    }
    await atProvider(4100)
    const failed = await refund(order, { ...some(order, 2, true), shipping: true })
    expect(failed).toMatchObject({ status: 201, body: { status: 'failed', amount: usd(2900) } })
    await buying.shop.app.settle()
    expect(await read(order)).toMatchObject({
      status: 'paid',
      refunded: usd(0),
      shippingRefunded: usd(0),
      items: [{ refundedUnits: 0, refunded: usd(0), cancelled: 2 }],
    })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 10, held: 0, committed: 1 })
    const kinds = (await timeline(order)).map(({ kind }: { kind: string }) => kind)
    expect(kinds).toContain('refund-uncounted')
    const rows = await buying.rows(sql<{ failed: boolean }>`
      select failed_at is not null as failed from orders.refund_lines where order_id = ${order.id}`)
    expect(rows).toEqual([{ failed: true }, { failed: true }])
  })
})

describe('a cancellation', () => {
  it('gives back what is left, and shows every line as refunded', async () => {
    const order = await threeMugs()
    await refund(order, some(order, 1))
    await buying.send('POST', `/v1/orders/${order.id}/cancellation`, {}, order.headers)
    await buying.shop.app.settle()
    expect(await read(order)).toMatchObject({
      status: 'cancelled',
      paymentStatus: 'refunded',
      refunded: usd(4100),
      items: [{ refunded: usd(3600), refundedUnits: 1 }],
    })
    expect(await refund(order, some(order, 1, true))).toMatchObject({ status: 409 })
    expect((await violations()).filter((one) => !one.startsWith('O5'))).toEqual([])
  })
})
