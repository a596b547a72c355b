import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aMug, create, type TestCatalogue, testCatalogue } from './catalogue.ts'

let shop: TestCatalogue
beforeAll(async () => {
  shop = await testCatalogue()
})
afterAll(() => shop.close())

const SHIRT = {
  title: 'Linen shirt',
  handle: 'linen-shirt',
  status: 'active',
  descriptionHtml: '<p onclick="x()">Cool &amp; light</p><script>alert(1)</script>',
  vendor: 'Weavers',
  category: 'Shirts',
  tags: ['linen', 'summer'],
  options: ['Size', 'Colour'],
  metadata: { season: 'SS27' },
  images: [{ url: 'https://cdn.example/shirt.jpg', alt: 'A shirt' }],
  variants: [
    {
      sku: 'LS-M',
      options: { Size: 'M', Colour: 'Blue' },
      prices: [
        { currency: 'USD', amountMinor: 4500, compareAtMinor: 6000 },
        { currency: 'JPY', amountMinor: 6800 },
      ],
      onHand: 3,
      weightGrams: 240,
    },
    { options: { Size: 'L', Colour: 'Blue' }, prices: [{ currency: 'USD', amountMinor: 4700 }], tracked: false },
  ],
}

test('a product is shown to everybody as it was made, its description safe, its prices in the currency asked for', async () => {
  const made = await create(shop, SHIRT)
  const { status, body, headers } = await shop.send('GET', '/v1/products/linen-shirt')
  expect(status).toBe(200)
  expect(body).toMatchObject({
    id: made.id,
    description: 'Cool & light',
    descriptionHtml: '<p>Cool &amp; light</p>',
    options: [
      { name: 'Size', values: ['M', 'L'] },
      { name: 'Colour', values: ['Blue'] },
    ],
    metadata: { season: 'SS27' },
    images: [{ url: 'https://cdn.example/shirt.jpg', alt: 'A shirt' }],
    variants: [
      {
        sku: 'LS-M',
        title: 'M / Blue',
        price: { amountMinor: 4500, currency: 'USD' },
        compareAtPrice: { amountMinor: 6000 },
        available: 3,
        weightGrams: 240,
      },
      {
        sku: null,
        title: 'L / Blue',
        price: { amountMinor: 4700, currency: 'USD' },
        compareAtPrice: null,
        tracked: false,
        available: null,
      },
    ],
  })
  expect(headers['cache-control']).toContain('s-maxage')
  const inYen = await shop.send('GET', `/v1/products/${made.id}?currency=JPY`)
  expect(inYen.body.variants.map((variant: { price: unknown }) => variant.price)).toEqual([
    { amountMinor: 6800, currency: 'JPY' },
    null,
  ])
  const given = await shop.rows(
    sql<{ given: string }>`select description_given as given from catalog.products where id = ${made.id}`,
  )
  expect(given[0]!.given).toBe(SHIRT.descriptionHtml)
})

test('whoever has the bytes is told 304, until the product changes', async () => {
  const made = await create(shop, aMug())
  const url = `/v1/products/${made.handle}`
  const first = await shop.send('GET', url)
  const etag = String(first.headers.etag)
  expect((await shop.send('GET', url, undefined, { 'if-none-match': `"other", W/${etag}` })).status).toBe(304)
  const changed = await shop.staff('PATCH', `/v1/products/${made.id}`, { title: 'Big mug' }, { 'if-match': etag })
  expect(changed.status).toBe(200)
  const again = await shop.send('GET', url, undefined, { 'if-none-match': etag })
  expect(again).toMatchObject({ status: 200, body: { title: 'Big mug' } })
})

test('a change needs If-Match (428), and one that is not stale (412)', async () => {
  const { id, etag } = await create(shop, aMug())
  const patch = (headers: Record<string, string>) =>
    shop.staff('PATCH', `/v1/products/${id}`, { vendor: 'Potters' }, headers)
  expect((await patch({})).status).toBe(428)
  expect((await patch({ 'if-match': '"7"' })).status).toBe(412)
  expect((await patch({ 'if-match': 'seven' })).status).toBe(412)
  const changed = await patch({ 'if-match': etag })
  expect(changed).toMatchObject({ status: 200, body: { vendor: 'Potters' }, headers: { etag: '"2"' } })
  expect((await patch({ 'if-match': etag })).status).toBe(412)
  expect((await patch({ 'if-match': '"2"' })).status).toBe(200)
})

test('of two changes at once of one version, one is made', async () => {
  const { id, etag } = await create(shop, aMug())
  const titles = Array.from({ length: 8 }, (_, index) => `Mug ${index}`)
  const answers = await Promise.all(
    titles.map((title) => shop.staff('PATCH', `/v1/products/${id}`, { title }, { 'if-match': etag })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)])
})

test('an archived product is gone for shoppers, keeps its handle, and can come back', async () => {
  const { id, handle, etag } = await create(shop, aMug())
  expect((await shop.staff('DELETE', `/v1/products/${id}`, undefined, { 'if-match': etag })).status).toBe(204)
  expect(await shop.send('GET', `/v1/products/${handle}`)).toMatchObject({
    status: 404,
    body: { code: 'catalog.product-not-found' },
  })
  expect((await shop.staff('GET', `/v1/products/${handle}`)).body.status).toBe('archived')
  const taken = await shop.staff('POST', '/v1/products', aMug({ handle }))
  expect(taken).toMatchObject({ status: 409, body: { code: 'catalog.handle-taken' } })
  const back = await shop.staff('PATCH', `/v1/products/${id}`, { status: 'active' }, { 'if-match': '"2"' })
  expect(back.body.status).toBe('active')
  expect((await shop.send('GET', `/v1/products/${handle}`)).status).toBe(200)
})

test('a draft is seen by staff only, in lists too', async () => {
  const { id, handle } = await create(shop, aMug({ status: 'draft' }))
  expect((await shop.send('GET', `/v1/products/${id}`)).status).toBe(404)
  expect((await shop.staff('GET', `/v1/products/${id}`)).status).toBe(200)
  expect((await shop.send('GET', '/v1/products?status=draft')).status).toBe(401)
  expect((await shop.send('GET', '/v1/products?status=draft', undefined, { authorization: 'customer' })).status).toBe(
    403,
  )
  const drafts = await shop.staff('GET', '/v1/products?status=draft')
  expect(drafts.body.data.map((product: { handle: string }) => product.handle)).toContain(handle)
})

test('variants are added, changed, archived and made active again', async () => {
  const { id, etag } = await create(shop, {
    ...aMug({ options: ['Size'] }),
    variants: [{ options: { Size: 'S' }, onHand: 1 }],
  })
  const url = `/v1/products/${id}/variants`
  const added = await shop.staff(
    'POST',
    url,
    { options: { Size: 'M' }, sku: 'MUG-M', onHand: 4, prices: [{ currency: 'USD', amountMinor: 900 }] },
    { 'if-match': etag },
  )
  expect(added).toMatchObject({
    status: 201,
    body: {
      variants: [
        { title: 'S', price: null },
        { title: 'M', available: 4 },
      ],
    },
  })
  const variant = added.body.variants[1].id
  const twin = await shop.staff('POST', url, { options: { Size: 'M' } }, { 'if-match': '"2"' })
  expect(twin).toMatchObject({ status: 409, body: { code: 'catalog.variant-exists', variantId: variant } })
  const mismatch = await shop.staff('POST', url, { options: { Colour: 'Red' } }, { 'if-match': '"2"' })
  expect(mismatch).toMatchObject({ status: 422, body: { code: 'catalog.options-mismatch' } })
  const changed = await shop.staff(
    'PATCH',
    `${url}/${variant}`,
    { sku: null, tracked: false, prices: [{ currency: 'USD', amountMinor: 800 }] },
    { 'if-match': '"2"' },
  )
  expect(changed.body.variants[1]).toMatchObject({
    sku: null,
    tracked: false,
    available: null,
    price: { amountMinor: 800 },
  })
  expect((await shop.staff('DELETE', `${url}/${variant}`, undefined, { 'if-match': '"3"' })).status).toBe(204)
  expect((await shop.send('GET', `/v1/products/${id}`)).body.variants).toHaveLength(1)
  const back = await shop.staff('PATCH', `${url}/${variant}`, { status: 'active' }, { 'if-match': '"4"' })
  expect(back.body.variants[1].status).toBe('active')
  const unknown = await shop.staff(
    'PATCH',
    `${url}/var_01jd2zq8k5e6v9w3x7y2m4n6p8`,
    { sku: 'X' },
    { 'if-match': '"5"' },
  )
  expect(unknown).toMatchObject({ status: 404, body: { code: 'catalog.variant-not-found' } })
})

test('images are added once each, linked to variants, and removed from them', async () => {
  const { id, etag, variants } = await create(shop, aMug())
  const url = `/v1/products/${id}/images`
  const added = await shop.staff('POST', url, { url: 'https://cdn.example/a.jpg' }, { 'if-match': etag })
  const image = added.body.images[0].id
  const twice = await shop.staff('POST', url, { url: 'https://cdn.example/a.jpg' }, { 'if-match': '"2"' })
  expect(twice).toMatchObject({ status: 409, body: { code: 'catalog.image-exists' } })
  const variantUrl = `/v1/products/${id}/variants/${variants[0].id}`
  const linked = await shop.staff('PATCH', variantUrl, { imageId: image }, { 'if-match': '"2"' })
  expect(linked.body.variants[0].image).toBe('https://cdn.example/a.jpg')
  expect((await shop.staff('DELETE', `${url}/${image}`, undefined, { 'if-match': '"3"' })).status).toBe(204)
  expect((await shop.send('GET', `/v1/products/${id}`)).body).toMatchObject({ images: [], variants: [{ image: null }] })
  expect((await shop.staff('DELETE', `${url}/${image}`, undefined, { 'if-match': '"4"' })).body.code).toBe(
    'catalog.image-not-found',
  )
})

test('every change leaves an event with ids only, and an audit row with who, before and after', async () => {
  const { id, etag, variants } = await create(shop, aMug())
  const prices = [{ currency: 'USD', amountMinor: 1100 }]
  await shop.staff('PATCH', `/v1/products/${id}/variants/${variants[0].id}`, { prices }, { 'if-match': etag })
  const events = await shop.rows(sql`select type, data from platform.events where subject = ${id} order by id`)
  expect(events).toEqual([
    { type: 'catalog.product-created.v1', data: { productId: id, version: 1 } },
    { type: 'catalog.product-changed.v1', data: { productId: id, version: 2 } },
  ])
  const [row] = await shop.rows(sql`
    select actor_kind, action, before, after from platform.audit_log where subject = ${id} order by id desc limit 1`)
  const key = `${variants[0].id}.USD`
  expect(row).toEqual({
    actor_kind: 'staff',
    action: 'catalog.product-changed',
    before: { [key]: 1200 },
    after: { [key]: 1100 },
  })
})

test('a handle is made of the title; one that cannot be made is asked for', async () => {
  const { handle: _, ...mug } = aMug({ title: 'Ärmel & Söhne №1' })
  expect((await create(shop, mug)).handle).toMatch(/^[a-z0-9-]+$/)
  const { handle: __, ...signs } = aMug({ title: '!!!' })
  expect(await shop.staff('POST', '/v1/products', signs)).toMatchObject({
    status: 422,
    body: { code: 'catalog.invalid-handle' },
  })
})

describe('bad input', () => {
  const mug = aMug({ handle: 'bad-mug' })
  const withVariant = (variant: object) => ({ ...mug, variants: [variant] })
  const price = (over: object) => withVariant({ prices: [{ currency: 'USD', amountMinor: 100, ...over }] })
  test.each([
    ['malformed JSON', '{"title":', 400],
    ['an unknown property', { ...mug, colour: 'red' }, 400],
    ['a wrong type', { ...mug, title: 7 }, 400],
    ['no variants', { ...mug, variants: undefined }, 400],
    ['an empty list of variants', { ...mug, variants: [] }, 422],
    ['a price that is a text', price({ amountMinor: '100' }), 400],
    ['a price that is a fraction', price({ amountMinor: 1.5 }), 400],
    ['a price below 0', price({ amountMinor: -1 }), 422],
    ['a price beyond what a number holds', price({ amountMinor: 2 ** 53 }), 422],
    ['an unknown currency', price({ currency: 'XYZ' }), 422],
    ['compare-at not above the price', price({ compareAtMinor: 100 }), 422],
    [
      'two prices in one currency',
      withVariant({ prices: [1, 2].map((amountMinor) => ({ currency: 'USD', amountMinor })) }),
      422,
    ],
    ['stock below 0', withVariant({ onHand: -1 }), 422],
    ['an empty SKU', withVariant({ sku: '' }), 422],
    ['a SKU that is a number', withVariant({ sku: 7 }), 400],
    ['a title too long', { ...mug, title: 'x'.repeat(256) }, 422],
    ['a handle with capitals', { ...mug, handle: 'Mug' }, 422],
    ['NUL in a text', { ...mug, title: 'a\u0000b' }, 422],
    ['half a surrogate pair', { ...mug, title: 'a\ud800' }, 422],
    ['an image that is no web address', { ...mug, images: [{ url: 'javascript:alert(1)' }] }, 422],
    ['an unknown status', { ...mug, status: 'sold' }, 422],
  ])('%s', async (_what, body, status) => {
    const answer = await shop.staff('POST', '/v1/products', body)
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toContain('problem+json')
  })

  test.each([
    ['limit=0'],
    ['limit=101'],
    ['limit=ten'],
    ['cursor=nonsense'],
    ['cursor=W10='],
    ['sort=-stock'],
    ['colour=red'],
    ['sort=relevance'],
    ['price[gte]=-1'],
    ['price[gte]=cheap'],
    ['currency=usd'],
    ['currency=XYZ'],
    ['available=perhaps'],
    ['q='],
    ['q=a&q=b'],
    ['option[]=M'],
    ['status=sold'],
  ])('GET /v1/products?%s is 400', async (query) => {
    expect((await shop.send('GET', `/v1/products?${query}`)).status).toBe(400)
  })

  test('who may not write is refused before anything is read', async () => {
    expect((await shop.send('POST', '/v1/products', {})).status).toBe(401)
    expect((await shop.send('POST', '/v1/products', {}, { authorization: 'support' })).status).toBe(403)
    expect((await shop.send('GET', '/v1/inventory', undefined, { authorization: 'customer' })).status).toBe(403)
  })
})

test('a product page is one round trip, and none while it is fresh', async () => {
  const { handle } = await create(shop, aMug())
  const before = shop.statements()
  await Promise.all(Array.from({ length: 20 }, () => shop.send('GET', `/v1/products/${handle}`)))
  await shop.send('GET', `/v1/products/${handle}`)
  expect(shop.statements() - before).toBe(1)
})
