import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { bearer } from '../users/people.ts'
import { ADDRESS, type Buying, openForBuying } from './buying.ts'

let buying: Buying
let mug: string
beforeAll(async () => {
  buying = await openForBuying()
  mug = await buying.aVariant({ onHand: 1000 })
})
afterAll(() => buying.close())

const usd = (amountMinor: number) => ({ amountMinor, currency: 'USD' })

describe('the journey', () => {
  it('goes from a cart with everything to a paid order', async () => {
    const { shop, send, aVariant, stock } = buying
    const variantId = await aVariant()
    const cart = await buying.aCart([{ variantId, quantity: 2 }])
    const one = await buying.placed(cart)
    expect(one.body).toMatchObject({
      status: 'pending',
      number: expect.stringMatching(/^\d+$/),
      paymentStatus: 'unpaid',
      items: [{ variantId, quantity: 2, unitPrice: usd(1200), total: usd(2400), tax: usd(400) }],
      subtotal: usd(2400),
      discount: usd(0),
      shipping: usd(500),
      tax: usd(483),
      total: usd(2900),
      payment: { status: 'open', amount: usd(2900) },
      holdUntil: new Date(shop.clock.now.getTime() + 15 * 60_000).toISOString(),
    })
    expect(await stock(variantId)).toEqual({ on_hand: 10, held: 2, committed: 0 })
    expect((await buying.pay(one)).body.status).toBe('succeeded')
    await shop.app.settle()
    expect((await buying.read(one)).body).toMatchObject({
      status: 'paid',
      paymentStatus: 'paid',
      holdUntil: null,
      payment: { status: 'captured' },
    })
    expect(await stock(variantId)).toEqual({ on_hand: 10, held: 0, committed: 2 })
    const frozen = await send('PATCH', `/v1/carts/${cart.id}`, { note: 'late' }, cart.headers)
    expect(frozen).toMatchObject({ status: 409, body: { code: 'carts.already-ordered' } })
  })

  it('goes step by step, every answer the whole cart', async () => {
    const { send } = buying
    const made = await send('POST', '/v1/carts', {})
    expect(made).toMatchObject({
      status: 201,
      body: { status: 'open', currency: 'USD', items: [], problems: ['empty', 'missing-email'] },
    })
    const at = `/v1/carts/${made.body.id}`
    const mine = { 'x-cart-token': made.body.token }
    const first = await send('POST', `${at}/items`, { variantId: mug, quantity: 1 }, mine)
    expect(first).toMatchObject({
      status: 201,
      body: { items: [{ quantity: 1 }], problems: ['missing-email', 'missing-address', 'missing-shipping-method'] },
    })
    const twice = await send('POST', `${at}/items`, { variantId: mug, quantity: 2, metadata: { engraving: 'A' } }, mine)
    expect(twice.body.items).toMatchObject([{ id: first.body.items[0].id, quantity: 3, metadata: { engraving: 'A' } }])
    const item = `${at}/items/${first.body.items[0].id}`
    expect((await send('PATCH', item, { quantity: 5 }, mine)).body.items).toMatchObject([{ quantity: 5 }])
    const details = {
      email: 'ann@example.com',
      shippingAddress: ADDRESS,
      shippingMethod: 'express',
      note: 'Ring twice',
      metadata: { source: 'ad' },
    }
    const ready = await send('PATCH', at, details, mine)
    expect(ready).toMatchObject({
      status: 200,
      body: { ...details, subtotal: usd(6000), shipping: usd(1500), total: usd(7500), taxIncluded: true, problems: [] },
    })
    expect(ready.body.shippingMethods).toEqual([
      { id: 'standard', title: 'Standard', price: usd(500) },
      { id: 'express', title: 'Express', price: usd(1500) },
    ])
    expect((await send('PATCH', at, { note: null }, mine)).body).toMatchObject({ note: null, email: 'ann@example.com' })
    expect((await send('DELETE', item, undefined, mine)).body).toMatchObject({ items: [], problems: ['empty'] })
    expect((await send('GET', at, undefined, mine)).body.items).toEqual([])
  })

  it('asks for no address when nothing needs shipping', async () => {
    const variantId = await buying.aVariant({ requiresShipping: false })
    const made = await buying.send('POST', '/v1/carts', { items: [{ variantId, quantity: 1 }], email: 'a@example.com' })
    expect(made.body).toMatchObject({ problems: [], shippingMethods: [], total: usd(1200) })
    expect((await buying.order({ ...made.body, headers: { 'x-cart-token': made.body.token } })).status).toBe(201)
  })

  it('pays an order of nothing at once', async () => {
    const variantId = await buying.aVariant({ requiresShipping: false, prices: [{ currency: 'USD', amountMinor: 0 }] })
    const one = await buying.placed(await buying.aCart([{ variantId, quantity: 3 }], { shippingMethod: undefined }))
    expect(one.body).toMatchObject({ status: 'paid', payment: null, total: usd(0), holdUntil: null })
    expect(await buying.stock(variantId)).toEqual({ on_hand: 10, held: 0, committed: 3 })
  })

  it('numbers orders from ORDER_NUMBER_START, each once', async () => {
    const placed = await Promise.all(
      [1, 2, 3].map(async () => buying.placed(await buying.aCart([{ variantId: mug, quantity: 1 }]))),
    )
    const numbers = placed.map((one) => Number(one.body.number))
    expect(new Set(numbers).size).toBe(3)
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(1001)
  })

  it("is a customer's own when signed in", async () => {
    const ann = bearer(await buying.people.customer('ann@buyers.example'))
    const bob = bearer(await buying.people.customer('bob@buyers.example'))
    const one = await buying.placed(await buying.aCart([{ variantId: mug, quantity: 1 }], {}, ann))
    expect(one.token).toBeNull()
    expect((await buying.send('GET', `/v1/orders/${one.id}`, undefined, ann)).status).toBe(200)
    expect((await buying.send('GET', '/v1/orders', undefined, ann)).body.data).toMatchObject([{ id: one.id, units: 1 }])
    expect((await buying.send('GET', '/v1/orders', undefined, bob)).body.data).toEqual([])
    expect((await buying.send('GET', '/v1/orders')).body.code).toBe('orders.sign-in')
    expect((await buying.send('GET', `/v1/orders/${one.id}`, undefined, bob)).status).toBe(404)
    expect((await buying.send('GET', `/v1/carts/${one.cart.id}`, undefined, bob)).status).toBe(404)
  })

  it('moves a guest’s lines into the cart of who signs in, and the sum is kept', async () => {
    const ann = bearer(await buying.people.customer('merging@buyers.example'))
    const guest = await buying.aCart([{ variantId: mug, quantity: 2 }])
    const own = await buying.aCart([{ variantId: mug, quantity: 3 }], {}, ann)
    const into = `/v1/carts/${own.id}/merge`
    expect((await buying.send('POST', into, { fromCartId: guest.id }, ann)).status).toBe(404)
    const merged = await buying.send('POST', into, { fromCartId: guest.id }, { ...ann, ...guest.headers })
    expect(merged).toMatchObject({ status: 200, body: { items: [{ quantity: 5 }] } })
    const again = await buying.send('POST', into, { fromCartId: guest.id }, { ...ann, ...guest.headers })
    expect(again).toMatchObject({ status: 409, body: { code: 'carts.already-merged' } })
    const left = `/v1/carts/${guest.id}`
    for (const gone of [
      await buying.send('POST', `${left}/items`, { variantId: mug, quantity: 1 }, guest.headers),
      await buying.send('PATCH', left, { note: 'Ring' }, guest.headers),
      await buying.order(guest),
    ])
      expect(gone).toMatchObject({ status: 409, body: { code: 'carts.already-merged' } })
    expect((await buying.send('GET', `/v1/carts/${own.id}`, undefined, ann)).body.items).toMatchObject([
      { quantity: 5 },
    ])
  })
})

describe('placing an order', () => {
  it('gives the same bytes under the same key, and refuses another body', async () => {
    const cart = await buying.aCart([{ variantId: mug, quantity: 1 }])
    const key = { 'idempotency-key': randomUUID() }
    const first = await buying.order(cart, {}, key)
    const again = await buying.order(cart, {}, key)
    expect(again).toMatchObject({ status: 201, text: first.text, headers: { 'idempotent-replayed': 'true' } })
    expect((await buying.order(cart, { expectedTotal: usd(1) }, key)).status).toBe(422)
    expect(await buying.order(cart)).toMatchObject({
      status: 409,
      body: { code: 'orders.already-placed', order: { id: first.body.id, token: first.body.token } },
    })
  })

  it('happens once for 50 requests with one key, and once for 20 with keys of their own', async () => {
    const variantId = await buying.aVariant()
    const cart = await buying.aCart([{ variantId, quantity: 1 }])
    const key = { 'idempotency-key': randomUUID() }
    const answers = await Promise.all(Array.from({ length: 50 }, () => buying.order(cart, {}, key)))
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
    expect(answers.every((answer) => answer.status === 201)).toBe(true)
    const other = await buying.aCart([{ variantId, quantity: 1 }])
    const rivals = await Promise.all(Array.from({ length: 20 }, () => buying.order(other)))
    expect(rivals.filter((answer) => answer.status === 201)).toHaveLength(1)
    expect(rivals.filter((answer) => answer.body.code === 'orders.already-placed')).toHaveLength(19)
    expect(await buying.stock(variantId)).toMatchObject({ held: 2 })
  })

  it.each(['order.inserted', 'stock.held', 'command.before-commit'])(
    'leaves nothing when it breaks at %s, and the same key tries again',
    async (place) => {
      const variantId = await buying.aVariant()
      const cart = await buying.aCart([{ variantId, quantity: 1 }])
      const key = { 'idempotency-key': randomUUID() }
      enableFailpoints(`${place}=error`)
      const broken = await buying.order(cart, {}, key)
      enableFailpoints('')
      expect(broken).toMatchObject({ status: 500, body: { code: 'platform.internal' } })
      expect(await buying.stock(variantId)).toMatchObject({ held: 0 })
      expect(await buying.rows(sql`select id from orders.orders where cart_id = ${cart.id}`)).toEqual([])
      expect((await buying.order(cart, {}, key)).status).toBe(201)
      expect(await buying.stock(variantId)).toMatchObject({ held: 1 })
    },
  )

  it('refuses another total than the one expected, and says the actual one', async () => {
    const cart = await buying.aCart([{ variantId: mug, quantity: 1 }])
    const refused = await buying.order(cart, { expectedTotal: usd(1699) })
    expect(refused).toMatchObject({
      status: 409,
      body: {
        code: 'orders.price-changed',
        expected: usd(1699),
        actual: usd(1700),
        lines: [{ variantId: mug, unitPrice: usd(1200) }],
      },
    })
    expect((await buying.order(cart, { expectedTotal: usd(1700) })).status).toBe(201)
  })

  it('takes the price of the moment, also when the cart’s was 2 s old', async () => {
    const variantId = await buying.aVariant()
    const cart = await buying.aCart([{ variantId, quantity: 1 }])
    await buying.rows(sql`update catalog.prices set amount_minor = 1300 where variant_id = ${variantId}`)
    expect((await buying.order(cart)).body).toMatchObject({ total: usd(1800), items: [{ unitPrice: usd(1300) }] })
  })

  it('names all lines that are short, and changes nothing', async () => {
    const [few, none, plenty] = await Promise.all([buying.aVariant(), buying.aVariant(), buying.aVariant()])
    const items = [plenty, few, none].map((variantId) => ({ variantId, quantity: 5 }))
    const cart = await buying.aCart(items)
    await buying.rows(sql`update catalog.stock set on_hand = 1 where variant_id = ${few!}`)
    await buying.rows(sql`update catalog.stock set on_hand = 0 where variant_id = ${none!}`)
    const refused = await buying.order(cart)
    expect(refused).toMatchObject({ status: 409, body: { code: 'catalog.out-of-stock' } })
    expect(refused.body.errors).toEqual([
      expect.objectContaining({ pointer: '/items/1', variantId: few, wanted: 5, available: 1 }),
      expect.objectContaining({ pointer: '/items/2', variantId: none, wanted: 5, available: 0 }),
    ])
    expect(await buying.stock(plenty!)).toMatchObject({ held: 0 })
    expect((await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)).body.status).toBe('open')
  })

  it('refuses a cart that is not ready, naming what is missing', async () => {
    const empty = await buying.aCart([])
    expect((await buying.order(empty)).body.code).toBe('orders.empty')
    const bare = await buying.aCart([{ variantId: mug, quantity: 1 }], { email: undefined, shippingMethod: undefined })
    expect(await buying.order(bare)).toMatchObject({
      status: 422,
      body: { code: 'orders.not-ready', errors: [{ pointer: '/email' }, { pointer: '/shippingMethod' }] },
    })
  })

  it('sells the last units once, to as many as there are', async () => {
    const variantId = await buying.aVariant({ onHand: 7 })
    const carts = await Promise.all(Array.from({ length: 40 }, () => buying.aCart([{ variantId, quantity: 1 }])))
    const answers = await Promise.all(carts.map((cart) => buying.order(cart)))
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(7)
    expect(answers.filter((answer) => answer.body.code === 'catalog.out-of-stock')).toHaveLength(33)
  })
})

it('lets no cache keep what is somebody’s, only what anybody may see', async () => {
  const kept = async (url: string, headers = {}) =>
    (await buying.send('GET', url, undefined, headers)).headers['cache-control']
  const order = await buying.anOrder()
  expect(await kept(`/v1/carts/${order.cart.id}`, order.cart.headers)).toBe('no-store')
  expect(await kept(`/v1/orders/${order.id}`, order.headers)).toBe('no-store')
  expect(await kept(`/v1/payments/${order.body.payment.id}`, order.headers)).toBe('no-store')
  expect(await kept(`/v1/orders/${order.id}`)).toBe('no-store')
  expect((await buying.order(order.cart)).headers['cache-control']).toBe('no-store')
  expect(await kept('/v1/products')).toMatch(/^public/)
  expect(await kept('/v1/store')).toMatch(/^public/)
})

describe('round trips', () => {
  const inject = (
    method: 'GET' | 'POST' | 'PATCH',
    url: string,
    payload: object | undefined,
    headers: Record<string, string>,
  ) => buying.shop.app.http.inject({ method, url, headers, ...(payload ? { payload } : {}) })

  it('are few: cart 1, item 2, details 1, order 7, order read 2', async () => {
    const { database } = buying.shop.app
    const trips = async (run: () => ReturnType<typeof inject>, status: number) => {
      // Other processes are told of events 50 ms after a commit, which would be counted here.
      await pause(100)
      const before = database.statements()
      const answer = await run()
      expect(answer.statusCode, answer.body).toBe(status)
      return { count: database.statements() - before, body: answer.json() }
    }
    await buying.aCart([{ variantId: mug, quantity: 1 }])
    const cart = await trips(() => inject('POST', '/v1/carts', {}, {}), 201)
    expect(cart.count).toBe(1)
    const mine = { 'x-cart-token': cart.body.token as string }
    const at = `/v1/carts/${cart.body.id}`
    expect((await trips(() => inject('POST', `${at}/items`, { variantId: mug, quantity: 1 }, mine), 201)).count).toBe(2)
    const details = { email: 'a@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
    expect((await trips(() => inject('PATCH', at, details, mine), 200)).count).toBe(1)
    const keyed = { ...mine, 'idempotency-key': randomUUID() }
    const placed = await trips(() => inject('POST', '/v1/orders', { cartId: cart.body.id }, keyed), 201)
    expect(placed.count).toBeLessThanOrEqual(7)
    const token = { 'x-order-token': placed.body.token as string }
    expect((await trips(() => inject('GET', `/v1/orders/${placed.body.id}`, undefined, token), 200)).count).toBe(2)
  })
})
