import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADDRESS, type Buying, openForBuying } from '../orders/buying.ts'
import { bearer } from './people.ts'
import { sqlOf } from './sql.ts'

/** One's own address book, and carts that name an address of it. */
let buying: Buying
let ann: { authorization: string }
let bea: { authorization: string }
beforeAll(async () => {
  buying = await openForBuying()
  ann = bearer(await buying.people.customer('ann@example.com'))
  bea = bearer(await buying.people.customer('bea@example.com'))
})
afterAll(() => buying?.close())

const BOOK = '/v1/users/me/addresses'
const add = async (headers = ann, more: object = {}) =>
  (await buying.send('POST', BOOK, { ...ADDRESS, ...more }, headers)).body

describe('the address book', () => {
  it('is kept, listed, changed and emptied by its owner', async () => {
    const made = await buying.send('POST', BOOK, { ...ADDRESS, company: 'Lee & Co' }, ann)
    expect(made).toMatchObject({ status: 201, body: { ...ADDRESS, company: 'Lee & Co' } })
    const { id } = made.body
    expect(made.headers.location).toBe(`${BOOK}/${id}`)
    const read = await buying.send('GET', `${BOOK}/${id}`, undefined, ann)
    expect(read).toMatchObject({ status: 200, body: made.body, headers: { etag: '"1"' } })
    const change = (body: object, etag?: string) =>
      buying.send('PATCH', `${BOOK}/${id}`, body, { ...ann, ...(etag ? { 'if-match': etag } : {}) })
    expect((await change({ city: 'Paris' })).status).toBe(428)
    expect(await change({ city: 'Paris', company: null }, '"1"')).toMatchObject({
      status: 200,
      headers: { etag: '"2"' },
    })
    expect((await change({ city: 'Rome' }, '"1"')).status).toBe(412)
    expect((await change({ name: null }, '"2"')).status).toBe(400)
    const { body } = await buying.send('GET', BOOK, undefined, ann)
    expect(body.data).toEqual([{ ...ADDRESS, id, city: 'Paris' }])
    const remove = (etag: string) => buying.send('DELETE', `${BOOK}/${id}`, undefined, { ...ann, 'if-match': etag })
    expect((await remove('"1"')).status).toBe(412)
    expect((await remove('"2"')).status).toBe(204)
    expect((await buying.send('GET', `${BOOK}/${id}`, undefined, ann)).status).toBe(404)
  })

  it('takes twenty, also when more come at once', async () => {
    const session = bearer(await buying.people.customer('collector@example.com'))
    const answers = await Promise.all(Array.from({ length: 25 }, () => buying.send('POST', BOOK, ADDRESS, session)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20)
    expect(answers.find(({ status }) => status !== 201)).toMatchObject({
      status: 409,
      body: { code: 'users.too-many-addresses' },
    })
    const first = await buying.send('GET', `${BOOK}?limit=15`, undefined, session)
    const cursor = encodeURIComponent(first.body.nextCursor)
    const second = await buying.send('GET', `${BOOK}?limit=15&cursor=${cursor}`, undefined, session)
    expect([first.body.data.length, second.body.data.length, second.body.nextCursor]).toEqual([15, 5, null])
  })

  it('holds nothing in the clear', async () => {
    const { id } = await add(ann, { line1: 'Canary Lane 7' })
    const [row] = await sqlOf<{ whole: string }>(
      buying.shop,
      `select t::text || convert_from(address, 'LATIN1') as whole from users.addresses t where id = $1`,
      id,
    ).catch(() => [{ whole: '' }])
    expect(row?.whole).not.toContain('Canary')
  })
})

describe('a cart that names an address', () => {
  const items = async () => [{ variantId: await buying.aVariant(), quantity: 1 }]

  it('keeps a copy of it, when it is made and when it is changed', async () => {
    const [home, work] = [await add(), await add(ann, { line1: '2 Work St' })]
    const body = {
      items: await items(),
      shippingAddressId: home.id,
      shippingMethod: 'standard',
      email: 'ann@example.com',
    }
    const cart = await buying.send('POST', '/v1/carts', body, ann)
    expect(cart).toMatchObject({ status: 201, body: { shippingAddress: ADDRESS, problems: [] } })
    const change = { shippingAddressId: work.id, billingAddressId: home.id }
    const changed = await buying.send('PATCH', `/v1/carts/${cart.body.id}`, change, ann)
    expect(changed.body).toMatchObject({ shippingAddress: { line1: '2 Work St' }, billingAddress: ADDRESS })
    const order = await buying.send('POST', '/v1/orders', { cartId: cart.body.id }, ann)
    await buying.send('DELETE', `${BOOK}/${work.id}`, undefined, { ...ann, 'if-match': '"1"' })
    const read = await buying.send('GET', `/v1/orders/${order.body.id}`, undefined, ann)
    expect(read.body.shippingAddress.line1).toBe('2 Work St')
  })

  it('refuses another customer’s address id in one’s own body, a guest’s, and two forms at once', async () => {
    const theirs = await add(bea)
    const missing = 'adr_01jd2zq8k5e6v9w3x7y2m4n6p8'
    const cart = await buying.aCart(await items(), {}, ann)
    const patch = (body: object, headers: Record<string, string> = ann) =>
      buying.send('PATCH', `/v1/carts/${cart.id}`, body, headers)
    const told = ({ status, text }: { status: number; text: string }) => [
      status,
      text.replace(/"instance":"[^"]*"/, ''),
    ]
    const before = await buying.send('GET', `/v1/carts/${cart.id}`, undefined, ann)
    const refused = await patch({ shippingAddressId: theirs.id })
    expect(refused).toMatchObject({ status: 404, body: { code: 'users.address-not-found' } })
    expect(told(refused)).toEqual(told(await patch({ shippingAddressId: missing })))
    expect((await patch({ billingAddressId: theirs.id })).status).toBe(404)
    const made = { items: await items(), shippingAddressId: theirs.id }
    expect((await buying.send('POST', '/v1/carts', made, ann)).status).toBe(404)
    expect((await buying.send('POST', '/v1/carts', made)).status).toBe(404)
    const both = await patch({ shippingAddressId: (await add()).id, shippingAddress: ADDRESS })
    expect(both).toMatchObject({ status: 422, body: { code: 'carts.two-addresses' } })
    const cleared = await patch({ billingAddressId: (await add()).id, billingAddress: null })
    expect(cleared).toMatchObject({ status: 422, body: { code: 'carts.two-addresses' } })
    expect((await buying.send('GET', `/v1/carts/${cart.id}`, undefined, ann)).body).toEqual(before.body)
    const order = await buying.send('POST', '/v1/orders', { cartId: cart.id, shippingAddressId: theirs.id }, ann)
    expect(order).toMatchObject({ status: 400, body: { code: 'platform.malformed' } })
  })
})
