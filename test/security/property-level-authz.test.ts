import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADDRESS, type Buying, openForBuying, type Placed } from '../contexts/orders/buying.ts'
import { bearer } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import type { Sent } from '../kit/shop.ts'

/** Property-level authz: nobody sets or sees a property that is not theirs. */
type Headers = Record<string, string>
const PERSONAL = { email: 'ann@example.com', shippingAddress: ADDRESS, note: 'Ring twice.' }
const HIDDEN = { token: null, email: null, shippingAddress: null, billingAddress: null, note: null }

let buying: Buying
let order: Placed
let support: Headers
let finance: Headers
beforeAll(async () => {
  buying = await openForBuying()
  support = await buying.staff('support')
  finance = await buying.staff('finance')
  order = await aPaidOrder()
})
afterAll(() => buying?.close())

async function aPaidOrder(): Promise<Placed> {
  const variantId = await buying.aVariant()
  const placed = await buying.placed(await buying.aCart([{ variantId, quantity: 2 }], { note: PERSONAL.note }))
  await buying.pay(placed)
  await buying.shop.app.settle()
  return placed
}
const readOrder = ({ id }: { id: string }, headers: Headers) =>
  buying.send('GET', `/v1/orders/${id}`, undefined, headers)
const listed = async (headers: Headers, id: string) => {
  const { body } = await buying.send('GET', '/v1/orders?limit=100', undefined, headers)
  return body.data.find((one: { id: string }) => one.id === id)
}
/** A member of staff with a role of these permissions. */
async function staffWith(name: string, permissions: string[]): Promise<Headers> {
  const role = { name, description: 'Made for a test.', permissions }
  expect((await buying.send('POST', '/v1/roles', role, await buying.asOwner())).status).toBe(201)
  return buying.staff(name)
}
async function keyWith(permissions: string[]): Promise<Headers> {
  const made = await buying.send('POST', '/v1/api-keys', { name: 'Test', permissions }, await buying.asOwner())
  return { authorization: `Bearer ${made.body.secret}` }
}

describe('what is not known is refused, and changes nothing', () => {
  it.each([{ role: 'owner' }, { roles: ['owner'] }, { emailVerified: true }, { credit: 100 }, { permissions: [] }])(
    'of my account: %j',
    async (more) => {
      const session = await buying.people.customer('ann@example.com')
      const before = (await buying.people.me(session)).body
      const change = await buying.send('PATCH', '/v1/users/me', { name: 'Ann', ...more }, bearer(session))
      expect(change).toMatchObject({ status: 400, body: { code: 'platform.malformed' } })
      expect((await buying.people.me(session)).body).toEqual(before)
    },
  )

  it.each([{ price: 1 }, { total: 1 }, { discount: 1 }, { userId: 'usr_1' }, { status: 'ordered' }])(
    'of a cart: %j',
    async (more) => {
      const cart = await buying.aCart([{ variantId: await buying.aVariant(), quantity: 1 }])
      const before = (await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)).text
      expect(await buying.send('PATCH', `/v1/carts/${cart.id}`, more, cart.headers)).toMatchObject({ status: 400 })
      const unit = { variantId: await buying.aVariant(), quantity: 1, ...more }
      expect(await buying.send('POST', `/v1/carts/${cart.id}/items`, unit, cart.headers)).toMatchObject({ status: 400 })
      expect((await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)).text).toBe(before)
    },
  )

  it('of an order: its status is not its buyer’s', async () => {
    const change = await buying.send('PATCH', `/v1/orders/${order.id}/status`, { status: 'shipped' }, order.headers)
    expect(change.status).toBe(401)
    expect((await readOrder(order, order.headers)).body.status).toBe('paid')
  })
})

describe('who customers are is seen with customers:read', () => {
  it('in an order: by those who have it, and as null by those who lack it', async () => {
    expect((await readOrder(order, support)).body).toMatchObject(PERSONAL)
    const { body } = await readOrder(order, finance)
    expect(body).toMatchObject({ id: order.id, status: 'paid', total: order.body.total, ...HIDDEN })
  })

  it('in the list of orders', async () => {
    expect((await listed(support, order.id)).email).toBe('ann@example.com')
    expect((await listed(finance, order.id)).email).toBeNull()
  })

  it('not by searching for it either', async () => {
    const search = (headers: Headers, path: string) =>
      buying.send('GET', `${path}?email=ann@example.com`, undefined, headers)
    expect((await search(support, '/v1/orders')).body.data).not.toEqual([])
    expect(await search(finance, '/v1/orders')).toMatchObject({
      status: 403,
      body: { code: 'platform.forbidden-field', errors: [{ pointer: '/querystring/email' }] },
    })
    const counter = await staffWith('counter', ['users:read'])
    expect(await search(counter, '/v1/users')).toMatchObject({ status: 403 })
  })

  it('nor with the order’s own token, which they do not get to see', async () => {
    expect((await readOrder(order, finance)).body.token).toBeNull()
    expect((await readOrder(order, support)).body.token).toBe(order.token)
  })

  it('in what a command answers, and in its replay', async () => {
    const shipper = await staffWith('shipper', ['orders:ship', 'orders:read'])
    const one = await aPaidOrder()
    const headers = { ...shipper, 'idempotency-key': 'ship-once' }
    const ship = () => buying.send('POST', `/v1/orders/${one.id}/shipments`, {}, headers)
    const [first, replay] = [await ship(), await ship()]
    expect(first).toMatchObject({ status: 201, body: { status: 'shipped', ...HIDDEN } })
    expect([replay.text, replay.headers['idempotent-replayed']]).toEqual([first.text, 'true'])
    const lines = [{ itemId: first.body.items[0].id, quantity: 1, restock: true }]
    const back = await buying.send('POST', `/v1/orders/${one.id}/returns`, { lines, reason: 'Broken.' }, shipper)
    expect(back).toMatchObject({ status: 201, body: { order: { id: one.id, ...HIDDEN } } })
  })

  it('in accounts: one’s own is never hidden', async () => {
    const reader = await staffWith('reader', ['users:read'])
    const { body: me } = await buying.send('GET', '/v1/users/me', undefined, reader)
    expect(me).toMatchObject({ email: 'reader@shop.example', name: 'Staff' })
    const { body } = await buying.send('GET', '/v1/users?limit=100', undefined, reader)
    const others = body.data.filter(({ id }: { id: string }) => id !== me.id)
    expect(others.length).toBeGreaterThan(2)
    expect(new Set(others.map(({ email, name }: Sent['body']) => `${email} ${name}`))).toEqual(new Set(['null null']))
    expect(body.data.find(({ id }: { id: string }) => id === me.id)).toEqual(me)
    expect((await buying.send('GET', `/v1/users/${others[0].id}`, undefined, reader)).body).toMatchObject({
      email: null,
    })
    expect((await buying.send('GET', `/v1/users/${others[0].id}`, undefined, support)).body.email).toContain('@')
  })

  it('by servers like by staff, and by guests with their token through a server', async () => {
    const [blind, seeing] = [await keyWith(['orders:read']), await keyWith(['orders:read', 'customers:read'])]
    expect((await readOrder(order, blind)).body).toMatchObject(HIDDEN)
    expect((await readOrder(order, seeing)).body).toMatchObject(PERSONAL)
    expect((await readOrder(order, { ...blind, ...order.headers })).body).toMatchObject(PERSONAL)
    const cart = await buying.aCart([{ variantId: await buying.aVariant(), quantity: 1 }])
    const ordered = await buying.send('POST', '/v1/orders', { cartId: cart.id }, { ...blind, ...cart.headers })
    expect(ordered).toMatchObject({ status: 201, body: { email: 'ann@example.com', token: expect.any(String) } })
  })

  it('by whoever bought, staff or not', async () => {
    const cart = await buying.aCart([{ variantId: await buying.aVariant(), quantity: 1 }], {}, finance)
    const own = await buying.placed(cart)
    expect(own.body.email).toBe('ann@example.com')
    expect((await readOrder(own, finance)).body).toMatchObject({ email: 'ann@example.com', shippingAddress: ADDRESS })
    expect((await listed(finance, own.id)).email).toBe('ann@example.com')
    const cancelled = await buying.send('POST', `/v1/orders/${own.id}/cancellation`, {}, finance)
    expect(cancelled).toMatchObject({ status: 200, body: { email: 'ann@example.com' } })
    expect((await readOrder(order, order.headers)).body).toMatchObject(PERSONAL)
  })

  it('and no more from the moment that it is taken away', async () => {
    const watcher = await staffWith('watcher', ['orders:read', 'customers:read'])
    expect((await readOrder(order, watcher)).body.email).toBe('ann@example.com')
    await sqlOf(buying.shop, `update users.roles set permissions = '{orders:read}' where name = 'watcher'`)
    expect((await readOrder(order, watcher)).body).toMatchObject(HIDDEN)
  })
})

describe('prices are set with catalogue:price', () => {
  const prices = [{ currency: 'USD', amountMinor: 1 }]
  const refusedAt = (...pointers: string[]) => ({
    status: 403,
    body: { code: 'platform.forbidden-field', errors: pointers.map((pointer) => ({ pointer })) },
  })

  it('and everything else of a product without', async () => {
    const writer = await staffWith('writer', ['catalogue:write'])
    const product = { title: 'Words', handle: 'words', status: 'active' }
    const make = (...variants: object[]) => buying.send('POST', '/v1/products', { ...product, variants }, writer)
    expect(await make({ sku: 'A' }, { sku: 'B', prices })).toMatchObject(refusedAt('/variants/1/prices'))
    expect(await make({ prices: [] })).toMatchObject(refusedAt('/variants/0/prices'))
    expect(await buying.send('GET', '/v1/products/words')).toMatchObject({ status: 404 })
    const made = await make({ sku: 'A' })
    expect(made.status).toBe(201)
    const [variant] = made.body.variants
    const variants = `/v1/products/${made.body.id}/variants`
    const change = (headers: Headers, body: object) =>
      buying.send('PATCH', `${variants}/${variant.id}`, body, { ...headers, 'if-match': String(made.headers.etag) })
    expect(await buying.send('POST', variants, { sku: 'C', prices }, writer)).toMatchObject(refusedAt('/prices'))
    expect(await change(writer, { sku: 'A2', prices })).toMatchObject(refusedAt('/prices'))
    expect(await change(writer, { sku: 'A2' })).toMatchObject({ status: 200 })
  })

  it('by the role that keeps the catalogue, as before', async () => {
    const keeper = await buying.staff('catalogue')
    const product = { title: 'Priced', handle: 'priced', status: 'active', variants: [{ prices }] }
    expect(await buying.send('POST', '/v1/products', product, keeper)).toMatchObject({
      status: 201,
      body: { variants: [{ price: prices[0] }] },
    })
  })
})
