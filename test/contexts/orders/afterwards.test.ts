import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Buying, openForBuying, type Placed } from './buying.ts'

let buying: Buying
let fulfilment: Record<string, string>
let support: Record<string, string>
beforeAll(async () => {
  buying = await openForBuying()
})
afterAll(() => buying.close())
/** Access tokens last 10 minutes of the shop's clock, which these tests move. */
beforeEach(async () => {
  fulfilment = await buying.staff('fulfilment')
  support = await buying.staff('support')
})

const at = (order: Placed) => `/v1/orders/${order.id}`
const variantOf = (order: Placed): string => order.body.items[0].variantId
const itemOf = (order: Placed): string => order.body.items[0].id
const status = async (order: Placed): Promise<string> => (await buying.read(order)).body.status
const cartStatus = async ({ cart }: Placed): Promise<string> =>
  (await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)).body.status
const setStatus = (order: Placed, to: string, headers = fulfilment) =>
  buying.send('PATCH', `${at(order)}/status`, { status: to }, headers)
const cancel = (order: Placed, headers = order.headers) =>
  buying.send('POST', `${at(order)}/cancellation`, { reason: 'Changed my mind' }, headers)
const kinds = async (order: Placed): Promise<string[]> =>
  (await buying.send('GET', `${at(order)}/timeline`, undefined, support)).body.data.map(
    (row: { kind: string }) => row.kind,
  )

describe('expiry', () => {
  it('frees the stock, closes the payment and opens the cart with its token, once the hold is over', async () => {
    const order = await buying.anOrder()
    buying.shop.clock.advance(14.9)
    await buying.shop.app.settle()
    expect(await status(order)).toBe('pending')
    buying.shop.clock.advance(0.2)
    await buying.shop.app.settle()
    const { body } = await buying.read(order)
    expect(body).toMatchObject({ status: 'expired', holdUntil: null, payment: { status: 'cancelled' } })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 10, held: 0, committed: 0 })
    expect(await cartStatus(order)).toBe('open')
    expect((await buying.order(order.cart)).status).toBe(201)
    expect((await buying.pay(order)).status).toBe(409)
  })

  it('expires many at once, each once, also when two sweepers run', async () => {
    const orders = await Promise.all(Array.from({ length: 12 }, () => buying.anOrder()))
    buying.shop.clock.advance(16)
    await Promise.all([buying.shop.app.settle(), buying.shop.app.settle()])
    for (const order of orders) expect(await status(order)).toBe('expired')
    const ids = orders.map((order) => order.id)
    const told = await buying.rows(sql`
      select order_id from orders.timeline where kind = 'expired' and order_id = any(${ids}::text[])`)
    expect(told).toHaveLength(12)
  })

  it('comes to those behind a hundred whose payment was captured and whose event nobody hears', async () => {
    const variantId = await buying.aVariant({ onHand: 101 })
    const orders: Placed[] = []
    for (let i = 0; i <= 100; i += 1) orders.push(await buying.placed(await buying.aCart([{ variantId, quantity: 1 }])))
    const last = orders.at(-1) as Placed
    for (const order of orders.slice(0, 100)) expect((await buying.pay(order)).body.status).toBe('succeeded')
    await buying.rows(
      sql`update platform.events set published_at = ${buying.shop.clock.now} where published_at is null`,
    )
    buying.shop.clock.advance(16)
    await buying.shop.app.settle()
    expect(await status(last)).toBe('expired')
    expect(await status(orders[0] as Placed)).toBe('pending')
    await buying.rows(sql`update platform.events set published_at = null where type = 'payments.captured.v1'`)
    await buying.shop.app.settle()
    expect(await status(orders[0] as Placed)).toBe('paid')
  })

  it('waits for a payment that is being made', async () => {
    const order = await buying.anOrder()
    expect((await buying.pay(order, 'tok_requires_action')).body.status).toBe('requiresAction')
    expect((await buying.read(order)).headers['retry-after']).toBe('1')
    buying.shop.clock.advance(15.1)
    await buying.shop.app.settle()
    const { body } = await buying.read(order)
    expect(body.status).toBe('pending')
    expect(new Date(body.holdUntil).getTime()).toBeGreaterThan(buying.shop.clock.now.getTime())
  })
})

describe('a payment that lands late', () => {
  const capture = async (order: Placed) => {
    await buying.rows(sql`
      update payments.payments set status = 'captured', captured_minor = amount_minor, close_at = null,
        provider = 'sandbox', provider_payment_id = ${`late of ${order.id}`}
      where id = ${order.body.payment.id}`)
    await buying.shop.app.perform(
      { actor: { kind: 'system', userId: null, permissions: new Set() } as never, requestId: 'test' },
      async (work) =>
        work.emit({
          type: 'payments.captured.v1',
          subject: order.body.payment.id,
          data: { paymentId: order.body.payment.id, orderId: order.id, ...order.body.total },
        }),
    )
    await buying.shop.app.settle()
  }
  const refunds = (order: Placed) =>
    buying.rows(sql`select amount_minor from payments.refunds where payment_id = ${order.body.payment.id}`)
  const expired = async () => {
    const order = await buying.anOrder({ onHand: 2 })
    buying.shop.clock.advance(16)
    await buying.shop.app.settle()
    expect(await status(order)).toBe('expired')
    return order
  }

  it('takes the stock again while there is enough, and freezes the cart again', async () => {
    const order = await expired()
    await capture(order)
    expect(await status(order)).toBe('paid')
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 2, held: 0, committed: 2 })
    expect(await cartStatus(order)).toBe('ordered')
    expect(await refunds(order)).toEqual([])
  })

  it('ends the order when the stock is gone, and leaves the cart open', async () => {
    const order = await expired()
    await buying.placed(await buying.aCart([{ variantId: variantOf(order), quantity: 1 }]))
    await capture(order)
    expect(await status(order)).toBe('cancelled')
    expect(await refunds(order)).toEqual([{ amount_minor: 2900 }])
    expect(await buying.stock(variantOf(order))).toMatchObject({ held: 1, committed: 0 })
    expect(await cartStatus(order)).toBe('open')
  })

  it('ends the order when its cart is ordered anew', async () => {
    const order = await expired()
    const anew = await buying.placed(order.cart)
    await capture(order)
    expect([await status(order), await status(anew)]).toEqual(['cancelled', 'pending'])
    expect(await refunds(order)).toEqual([{ amount_minor: 2900 }])
  })

  it('changes nothing the second time', async () => {
    const order = await expired()
    await capture(order)
    await capture(order)
    expect(await status(order)).toBe('paid')
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 2, held: 0, committed: 2 })
  })
})

describe('cancellation', () => {
  it('by the buyer, unpaid: the stock is free, the cart open, the payment closed', async () => {
    const order = await buying.anOrder()
    expect(await cancel(order)).toMatchObject({
      status: 200,
      body: { status: 'cancelled', payment: { status: 'cancelled' } },
    })
    expect(await buying.stock(variantOf(order))).toMatchObject({ held: 0, committed: 0 })
    expect(await cartStatus(order)).toBe('open')
    expect(await cancel(order)).toMatchObject({
      status: 409,
      body: { status: 409, code: 'orders.invalid-transition', orderStatus: 'cancelled' },
    })
  })

  it('by staff, paid: the money goes back in full, and is audited', async () => {
    const order = await buying.aPaidOrder()
    expect((await cancel(order, support)).body).toMatchObject({ status: 'cancelled', items: [{ cancelled: 2 }] })
    await buying.shop.app.settle()
    await buying.shop.app.settle()
    const { body } = await buying.read(order)
    expect(body).toMatchObject({ paymentStatus: 'refunded', refunded: order.body.total })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 10, held: 0, committed: 0 })
    expect(await cartStatus(order)).toBe('ordered')
    const audited = await buying.rows(sql`select action from platform.audit_log where subject = ${order.id}`)
    expect(audited).toEqual([{ action: 'orders.cancel' }])
  })

  it('without restocking, by staff only: the goods leave the stock', async () => {
    const [paid, pending] = [await buying.aPaidOrder(), await buying.anOrder()]
    const writeOff = (order: Placed, headers: Record<string, string>) =>
      buying.send('POST', `${at(order)}/cancellation`, { reason: 'Broken in the store', restock: false }, headers)
    expect(await writeOff(paid, paid.headers)).toMatchObject({ status: 403, body: { code: 'orders.cannot-cancel' } })
    expect(await buying.stock(variantOf(paid))).toEqual({ on_hand: 10, held: 0, committed: 2 })
    for (const order of [paid, pending]) {
      expect((await writeOff(order, support)).body.status).toBe('cancelled')
      expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 8, held: 0, committed: 0 })
    }
    const short = await buying.anOrder({ onHand: 1, backOrder: true })
    expect(await writeOff(short, support)).toMatchObject({ status: 409, body: { code: 'catalog.nothing-on-hand' } })
    expect([await status(short), await buying.stock(variantOf(short))]).toEqual([
      'pending',
      { on_hand: 1, held: 2, committed: 0 },
    ])
  })

  it('is not for staff without orders:cancel, nor for strangers', async () => {
    const order = await buying.anOrder()
    expect((await cancel(order, fulfilment)).body.code).toBe('orders.cannot-cancel')
    expect((await cancel(order, {})).status).toBe(404)
  })

  it('waits for a payment that is being made', async () => {
    const order = await buying.anOrder()
    await buying.pay(order, 'tok_processing')
    expect(await cancel(order)).toMatchObject({ status: 409, body: { code: 'orders.payment-in-progress' } })
    expect(await status(order)).toBe('pending')
  })

  it('needs an Idempotency-Key, and answers the same bytes under it', async () => {
    const order = await buying.anOrder()
    const url = `${at(order)}/cancellation`
    const bare = await buying.shop.app.http.inject({ method: 'POST', url, payload: {}, headers: order.headers })
    expect(bare.json()).toMatchObject({ status: 400, code: 'platform.idempotency-key-required' })
    const key = { ...order.headers, 'idempotency-key': randomUUID() }
    const [first, again] = [await buying.send('POST', url, {}, key), await buying.send('POST', url, {}, key)]
    expect(again).toMatchObject({ status: 200, text: first.text, headers: { 'idempotent-replayed': 'true' } })
  })
})

describe('fulfilment', () => {
  it('ships all that is left, then delivers; the stock leaves with the goods', async () => {
    const order = await buying.aPaidOrder()
    expect((await setStatus(order, 'shipped')).body).toMatchObject({
      status: 'shipped',
      fulfilment: 'shipped',
      items: [{ shipped: 2 }],
    })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 8, held: 0, committed: 0 })
    expect((await setStatus(order, 'delivered')).body).toMatchObject({ status: 'delivered', fulfilment: 'delivered' })
    expect(await kinds(order)).toEqual(['placed', 'paid', 'shipped', 'delivered'])
  })

  it('ships in parts, and not more than there is', async () => {
    const order = await buying.aPaidOrder()
    const ship = (quantity: number) =>
      buying.send(
        'POST',
        `${at(order)}/shipments`,
        { lines: [{ itemId: itemOf(order), quantity }], carrier: 'Post', trackingNumber: 'X1' },
        fulfilment,
      )
    expect((await ship(1)).body).toMatchObject({ status: 'paid', fulfilment: 'partial', items: [{ shipped: 1 }] })
    expect((await ship(2)).body).toMatchObject({
      code: 'orders.too-many-units',
      errors: [{ pointer: '/lines/0/quantity', left: 1 }],
    })
    expect((await cancel(order)).body.code).toBe('orders.invalid-transition')
    expect((await ship(1)).body).toMatchObject({ status: 'shipped' })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 8, held: 0, committed: 0 })
  })

  it('never ships the same units twice, also at once', async () => {
    const order = await buying.aPaidOrder()
    const answers = await Promise.all([1, 2, 3, 4].map(() => setStatus(order, 'shipped')))
    const outcomes = answers.map(({ status, body }) => (status === 200 ? 'shipped' : body.code))
    const late = 'orders.invalid-transition'
    expect(outcomes.sort()).toEqual([late, late, late, 'shipped'])
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 8, held: 0, committed: 0 })
  })

  it('never takes the same units back twice, also at once', async () => {
    const order = await buying.aPaidOrder()
    await setStatus(order, 'shipped')
    const body = { lines: [{ itemId: itemOf(order), quantity: 2, restock: false }], reason: 'Broken' }
    const back = () => buying.send('POST', `${at(order)}/returns`, body, fulfilment)
    const answers = await Promise.all([back(), back(), back(), back()])
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 409, 409, 409])
    expect((await buying.read(order)).body).toMatchObject({ status: 'returned', items: [{ returned: 2 }] })
  })

  it('delivers what needs no shipping straight from paid', async () => {
    const order = await buying.aPaidOrder({ requiresShipping: false })
    expect((await setStatus(order, 'delivered')).body).toMatchObject({ status: 'delivered', items: [{ shipped: 2 }] })
    expect(await buying.stock(variantOf(order))).toEqual({ on_hand: 8, held: 0, committed: 0 })
  })

  it('takes units back, restocks those that can be sold again, and says what they are worth', async () => {
    const order = await buying.aPaidOrder()
    await setStatus(order, 'shipped')
    const back = (quantity: number, restock: boolean) =>
      buying.send(
        'POST',
        `${at(order)}/returns`,
        { lines: [{ itemId: itemOf(order), quantity, restock }], reason: 'Too small' },
        fulfilment,
      )
    expect((await back(1, true)).body).toMatchObject({
      items: [{ worth: { amountMinor: 1200 } }],
      order: { status: 'shipped', return: 'partial', items: [{ returned: 1 }] },
    })
    expect(await buying.stock(variantOf(order))).toMatchObject({ on_hand: 9 })
    expect((await back(1, false)).body.order).toMatchObject({ status: 'returned', return: 'returned' })
    expect(await buying.stock(variantOf(order))).toMatchObject({ on_hand: 9 })
    expect((await back(1, true)).body.code).toBe('orders.too-many-units')
  })
})

describe('PATCH status, from every state to every state', () => {
  const reach: Record<string, () => Promise<Placed>> = {
    pending: () => buying.anOrder(),
    expired: async () => {
      const order = await buying.anOrder()
      buying.shop.clock.advance(16)
      await buying.shop.app.settle()
      fulfilment = await buying.staff('fulfilment')
      return order
    },
    cancelled: async () => {
      const order = await buying.anOrder()
      await cancel(order)
      return order
    },
    paid: () => buying.aPaidOrder(),
    shipped: async () => {
      const order = await buying.aPaidOrder()
      await setStatus(order, 'shipped')
      return order
    },
    delivered: async () => {
      const order = await reach.shipped!()
      await setStatus(order, 'delivered')
      return order
    },
    returned: async () => {
      const order = await reach.shipped!()
      const lines = [{ itemId: itemOf(order), quantity: 2, restock: true }]
      await buying.send('POST', `${at(order)}/returns`, { lines, reason: 'All' }, fulfilment)
      return order
    },
  }
  const states = Object.keys(reach)
  const allowed = new Set(['paid shipped', 'shipped delivered'])

  it.each(states)('%s', async (from) => {
    const order = await reach[from]!()
    expect(await status(order)).toBe(from)
    for (const to of states.filter((one) => !allowed.has(`${from} ${one}`))) {
      const refused = await setStatus(order, to)
      expect(refused, `${from} → ${to}`).toMatchObject({
        status: 409,
        body: { status: 409, code: 'orders.invalid-transition' },
      })
      expect(await status(order)).toBe(from)
    }
    for (const to of states.filter((one) => allowed.has(`${from} ${one}`)))
      expect((await setStatus(order, to)).status).toBe(200)
  })
})

describe('staff', () => {
  it('find orders by number, e-mail, SKU, state and time, page by page', async () => {
    const sku = `SKU-${randomUUID()}`
    const email = `${randomUUID()}@example.com`
    const variantId = await buying.aVariant({ sku })
    const made: Placed[] = []
    for (let n = 0; n < 3; n += 1)
      made.push(await buying.placed(await buying.aCart([{ variantId, quantity: 1 }], { email })))
    const [first, second, third] = made.map((order) => order.id)
    const list = async (query: string) => {
      const { status: code, body } = await buying.send('GET', `/v1/orders?${query}`, undefined, support)
      expect(code).toBe(200)
      return body
    }
    const ids = async (query: string) => (await list(query)).data.map((order: { id: string }) => order.id)
    expect(await ids(`sku=${sku}`)).toEqual([third, second, first])
    expect(await ids(`email=${email.toUpperCase()}&sort=placedAt`)).toEqual([first, second, third])
    expect(await ids(`number=${made[1]!.body.number}`)).toEqual([second])
    expect(await ids(`sku=${sku}&status=paid`)).toEqual([])
    expect(await ids(`sku=${sku}&status=pending&fulfilment=none`)).toHaveLength(3)
    const now = buying.shop.clock.now.toISOString()
    expect(await ids(`sku=${sku}&placedAt[gte]=${now}`)).toHaveLength(3)
    expect(await ids(`sku=${sku}&placedAt[lt]=${now}`)).toEqual([])
    const page = await list(`sku=${sku}&limit=2`)
    expect(page.data).toMatchObject([{ id: third, email, units: 1 }, { id: second }])
    expect(await ids(`sku=${sku}&limit=2&cursor=${page.nextCursor}`)).toEqual([first])
    const sealed = await buying.rows<{ row: string }>(
      sql`select o::text as row from orders.orders o where id = ${first!}`,
    )
    expect(sealed[0]!.row).not.toContain(email)
  })

  it('write notes that only the timeline of staff shows, sealed at rest', async () => {
    const order = await buying.anOrder()
    const note = await buying.send('POST', `${at(order)}/notes`, { text: 'Rang Ann Lee' }, support)
    expect(note).toMatchObject({ status: 201, body: { text: 'Rang Ann Lee' } })
    const { body } = await buying.send('GET', `${at(order)}/timeline`, undefined, support)
    expect(body.data).toMatchObject([
      { kind: 'placed', from: null, to: 'pending', actor: 'guest' },
      { kind: 'note', note: 'Rang Ann Lee', actor: 'staff' },
    ])
    expect((await buying.send('GET', `${at(order)}/timeline`, undefined, order.headers)).status).toBe(401)
    const rows = await buying.rows<{ row: string }>(sql`
      select n::text as row from orders.notes n union all select t::text from orders.timeline t`)
    expect(rows.map(({ row }) => row).join()).not.toContain('Rang')
  })
})

it('has numbers for operators', async () => {
  await buying.anOrder()
  const { text } = await buying.send('GET', '/metrics')
  expect(text).toMatch(/stoa_orders\{status="pending"\} \d+/)
  expect(text).toMatch(/stoa_oldest_pending_order_seconds \d+/)
  expect(text).toMatch(/stoa_overdue_holds \d+/)
})
