import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#platform/ids.ts'
import { ADDRESS, type Buying, type Guest, openForBuying, type Placed } from './buying.ts'

let buying: Buying
let mug: string
let cart: Guest
let order: Placed
beforeAll(async () => {
  buying = await openForBuying()
  mug = await buying.aVariant()
  cart = await buying.aCart([{ variantId: mug, quantity: 1 }])
  order = await buying.placed(await buying.aCart([{ variantId: mug, quantity: 1 }]))
})
afterAll(() => buying.close())

const item = (quantity: unknown) => ({ variantId: mugLater(), quantity })
const usd = (amountMinor: number) => [{ currency: 'USD', amountMinor }]

describe('a cart takes no bad input', () => {
  const bodies: [string, unknown, number, string?][] = [
    ['no object', [], 400],
    ['a text', '"cart"', 400],
    ['cut off', '{"items":', 400],
    ['an unknown property', { discountCodes: ['SALE'] }, 400, '/discountCodes'],
    [
      'a price of its own',
      { items: [{ variantId: mugLater(), quantity: 1, unitPrice: 1 }] },
      400,
      '/items/0/unitPrice',
    ],
    ['a total', { total: { amountMinor: 1, currency: 'USD' } }, 400, '/total'],
    ['a __proto__', '{"__proto__":{"isAdmin":true}}', 400],
    ['no quantity', { items: [{ variantId: mugLater() }] }, 400, '/items/0/quantity'],
    ['a quantity in words', { items: [item('2')] }, 400, '/items/0/quantity'],
    ['a quantity of 0', { items: [item(0)] }, 422, '/items/0/quantity'],
    ['a quantity of −1', { items: [item(-1)] }, 422, '/items/0/quantity'],
    ['one and a half', { items: [item(1.5)] }, 422, '/items/0/quantity'],
    ['a milliard', { items: [item(1e9)] }, 422, '/items/0/quantity'],
    ['2^53', { items: [item(2 ** 53)] }, 422, '/items/0/quantity'],
    ['beyond numbers', '{"items":[{"variantId":"var_00000000000000000000000000","quantity":1e999}]}', 422],
    ['neither variant nor SKU', { items: [{ quantity: 1 }] }, 400],
    ['both', { items: [{ variantId: mugLater(), sku: 'A', quantity: 1 }] }, 400],
    ['an id of another kind', { items: [{ variantId: newId('prod'), quantity: 1 }] }, 422, '/items/0/variantId'],
    ['an unknown variant', { items: [{ variantId: newId('var'), quantity: 1 }] }, 422, '/items/0'],
    ['an unknown SKU', { items: [{ sku: 'NO-SUCH', quantity: 1 }] }, 422, '/items/0/sku'],
    [
      '101 lines',
      { items: Array.from({ length: 101 }, () => ({ variantId: newId('var'), quantity: 1 })) },
      422,
      '/items',
    ],
    ['a currency in small letters', { currency: 'usd' }, 422, '/currency'],
    ['a currency that the store has not', { currency: 'CHF' }, 422, '/currency'],
    ['an e-mail without @', { email: 'ann' }, 422, '/email'],
    ['an e-mail with a line break', { email: 'ann@example.com\r\nBcc: x@y.z' }, 422, '/email'],
    ['a note with NUL', { note: 'a\0b' }, 422],
    ['half a character', '{"note":"\\ud800"}', 422],
    ['a note too long', { note: 'x'.repeat(1001) }, 422, '/note'],
    [
      'a country in words',
      { shippingAddress: { ...ADDRESS, countryCode: 'Britain' } },
      422,
      '/shippingAddress/countryCode',
    ],
    [
      'a country that nothing goes to',
      { shippingAddress: { ...ADDRESS, countryCode: 'AQ' } },
      422,
      '/shippingAddress/countryCode',
    ],
    ['an address without a city', { shippingAddress: { ...ADDRESS, city: undefined } }, 400, '/shippingAddress/city'],
    ['an address with more', { shippingAddress: { ...ADDRESS, planet: 'Earth' } }, 400, '/shippingAddress/planet'],
    ['an unknown method', { shippingMethod: 'pigeon' }, 422, '/shippingMethod'],
    [
      '21 notes of the shop',
      { metadata: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`k${n}`, 'v'])) },
      422,
      '/metadata',
    ],
    ['a number among them', { metadata: { age: 7 } }, 400, '/metadata/age'],
  ]
  it.each(bodies)('%s', async (_name, body, status, pointer) => {
    const answer = await buying.shop.app.http.inject({
      method: 'POST',
      url: '/v1/carts',
      headers: { 'content-type': 'application/json' },
      payload: typeof body === 'string' ? body : JSON.stringify(body).replaceAll('MUG', mug),
    })
    expect(answer.statusCode, answer.body).toBe(status)
    expect(answer.headers['content-type']).toMatch(/problem\+json/)
    if (pointer) expect(answer.json().errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
  })

  it.each([
    ['an e-mail without @', { email: 'ann' }, 422],
    ['a number for a text', { note: 7 }, 400],
    ['an address as text', { shippingAddress: 'London' }, 400],
    ['an address without a name', { shippingAddress: { ...ADDRESS, name: '' } }, 422],
    ['items, which have their own routes', { items: [] }, 400],
    ['discount codes', { discountCodes: ['SALE'] }, 400],
    ['a status', { status: 'ordered' }, 400],
  ])('nor when it is changed: %s', async (_name, body, status) => {
    const refused = await buying.send('PATCH', `/v1/carts/${cart.id}`, body, cart.headers)
    expect(refused.status, refused.text).toBe(status)
  })

  it('nor what cannot be sold', async () => {
    const [draft, priceless, scarce] = await Promise.all([
      buying.aVariant({}, { status: 'draft' }),
      buying.aVariant({ prices: [{ currency: 'EUR', amountMinor: 900 }] }),
      buying.aVariant({ onHand: 2 }),
    ])
    const sku = 'TWICE'
    await Promise.all([buying.aVariant({ sku }), buying.aVariant({ sku })])
    const add = (body: object) => buying.send('POST', `/v1/carts/${cart.id}/items`, body, cart.headers)
    expect((await add({ variantId: draft, quantity: 1 })).body.code).toBe('catalog.not-for-sale')
    expect(await add({ variantId: priceless, quantity: 1 })).toMatchObject({
      status: 422,
      body: { code: 'catalog.no-price' },
    })
    expect((await add({ sku, quantity: 1 })).body).toMatchObject({
      code: 'catalog.sku-ambiguous',
      variantIds: [expect.any(String), expect.any(String)],
    })
    expect((await add({ variantId: scarce, quantity: 2 })).status).toBe(201)
    expect((await add({ variantId: scarce, quantity: 1 })).body).toMatchObject({
      code: 'catalog.out-of-stock',
      errors: [{ variantId: scarce, wanted: 3, available: 2 }],
    })
    const read = await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)
    expect(read.body.items.map((line: { quantity: number }) => line.quantity)).toEqual([1, 2])
  })

  it('nor an amount beyond what is exact', async () => {
    const dear = await buying.aVariant({ prices: usd(9_000_000_000_000), onHand: 9999 })
    const made = await buying.send('POST', '/v1/carts', { items: [{ variantId: dear, quantity: 9999 }] })
    const tooLarge = { status: 422, body: { code: 'orders.amount-too-large' } }
    expect(made).toMatchObject(tooLarge)
    const cart = await buying.aCart([{ variantId: dear, quantity: 1 }])
    // Without a key a change is one statement, that nothing rolls back.
    const send = async (method: 'GET' | 'POST' | 'PATCH', path = '', payload?: object) => {
      const { headers } = cart
      const url = `/v1/carts/${cart.id}${path}`
      const answer = await buying.shop.app.http.inject({ method, url, headers, ...(payload ? { payload } : {}) })
      return { status: answer.statusCode, body: answer.json() }
    }
    const item = (await send('GET')).body.items[0]
    expect(await send('POST', '/items', { variantId: dear, quantity: 9998 })).toMatchObject(tooLarge)
    expect(await send('PATCH', `/items/${item.id}`, { quantity: 9999 })).toMatchObject(tooLarge)
    expect((await send('GET')).body.items).toEqual([item])
  })
})

describe('orders take no bad input', () => {
  it.each([
    ['no cart', {}, 400],
    ['an unknown cart', { cartId: newId('cart') }, 404],
    ['an order for a cart', { cartId: newId('ord') }, 422],
    ['a float for a total', { cartId: newId('cart'), expectedTotal: { amountMinor: 19.99, currency: 'USD' } }, 400],
    ['a price of its own', { cartId: newId('cart'), total: 1 }, 400],
    ['discount codes', { cartId: newId('cart'), discountCodes: ['SALE'] }, 400],
  ])('%s', async (_name, body, status) => {
    const refused = await buying.send('POST', '/v1/orders', body, cart.headers)
    expect(refused.status, refused.text).toBe(status)
  })

  it.each([
    ['/v1/orders/nonsense', 400],
    ['/v1/orders?limit=1000000', 400],
    ['/v1/orders?limit=abc', 400],
    ['/v1/orders?status=lost', 400],
    ['/v1/orders?status=paid&status=pending', 400],
    ['/v1/orders?colour=red', 400],
    ['/v1/orders?sort=total', 400],
    ['/v1/orders?placedAt[gte]=yesterday', 400],
    ['/v1/orders?cursor=nonsense', 400],
  ])('GET %s', async (url, status) => {
    const refused = await buying.send('GET', url, undefined, await buying.staff('support'))
    expect(refused.status, refused.text).toBe(status)
  })

  it.each([
    ['PATCH', 'status', { status: 'lost' }, 422],
    ['PATCH', 'status', {}, 400],
    ['POST', 'shipments', { lines: [] }, 422],
    ['POST', 'shipments', { lines: [{ itemId: newId('item'), quantity: 0 }] }, 422],
    ['POST', 'returns', { lines: [{ itemId: newId('item'), quantity: 1 }], reason: 'x' }, 400],
    ['POST', 'notes', { text: '' }, 422],
    ['POST', 'cancellation', { restock: 'no' }, 400],
  ] as const)('%s …/%s %j', async (method, path, body, status) => {
    const headers = { ...(await buying.staff('admin')), ...order.headers }
    const refused = await buying.send(method, `/v1/orders/${order.id}/${path}`, body, headers)
    expect(refused.status, refused.text).toBe(status)
  })
})

describe('another person’s thing', () => {
  const stripped = ({ status, text, headers }: Awaited<ReturnType<Buying['send']>>, id: string) => ({
    status,
    text: text.replaceAll(id, 'ID').replace(/"instance":"[^"]*"/, ''),
    type: headers['content-type'],
  })
  it.each([
    ['GET', '/v1/carts/ID', undefined],
    ['PATCH', '/v1/carts/ID', { note: 'mine' }],
    ['POST', '/v1/carts/ID/items', { sku: 'A', quantity: 1 }],
    ['DELETE', '/v1/carts/ID/items/item_00000000000000000000000000', undefined],
    ['POST', '/v1/orders', { cartId: 'ID' }],
    ['GET', '/v1/orders/ID', undefined],
    ['POST', '/v1/orders/ID/cancellation', {}],
  ] as const)('is what a missing one is, byte for byte: %s %s', async (method, url, body) => {
    await buying.aVariant({ sku: 'A' })
    const isOrder = url.startsWith('/v1/orders/')
    const ask = (id: string) =>
      buying.send(method, url.replace('ID', id), body && JSON.parse(JSON.stringify(body).replace('ID', id)), {
        'x-cart-token': cart.token.slice(1),
        'x-order-token': cart.token,
      })
    const theirs = isOrder ? order.id : cart.id
    const missing = newId(isOrder ? 'ord' : 'cart')
    const [foreign, none] = [await ask(theirs), await ask(missing)]
    expect(foreign.status).toBe(404)
    expect(stripped(foreign, theirs)).toEqual(stripped(none, missing))
  })
})

/** The mug's id is known only when the shop is open. */
function mugLater(): string {
  return 'MUG'
}
