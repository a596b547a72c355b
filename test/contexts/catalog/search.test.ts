import { afterAll, beforeAll, expect, test } from 'vitest'
import { aMug, create, type Sent, type TestCatalogue, testCatalogue } from './catalogue.ts'

let shop: TestCatalogue
const usd = (amountMinor: number) => [{ currency: 'USD', amountMinor }]
const GOODS = [
  {
    title: 'Blue coffee mug',
    category: 'Mugs',
    vendor: 'Potters',
    tags: ['kitchen', 'gift'],
    variants: [{ sku: 'CM-1', prices: usd(1200), onHand: 3 }],
  },
  {
    title: 'Travel mug',
    category: 'Mugs',
    vendor: 'Steelworks',
    tags: ['outdoor'],
    variants: [{ sku: 'TM-1', prices: usd(2400), onHand: 0 }],
  },
  {
    title: 'Rain jacket',
    category: 'Jackets',
    vendor: 'Alpine',
    tags: ['outdoor'],
    options: ['Size', 'Colour'],
    descriptionHtml: '<p>Waterproof shell, with a pocket for your mug.</p>',
    variants: [
      { options: { Size: 'M', Colour: 'Red' }, prices: usd(12900), onHand: 2 },
      { options: { Size: 'L', Colour: 'Red' }, prices: usd(9900), onHand: 2 },
    ],
  },
  {
    title: 'Down jacket',
    category: 'Jackets',
    vendor: 'Alpine',
    options: ['Size'],
    variants: [{ options: { Size: 'M' }, prices: usd(25000), tracked: false }],
  },
  {
    title: 'Snowboard',
    category: 'Boards',
    vendor: 'Alpine',
    variants: [{ onHand: 1, prices: [{ currency: 'EUR', amountMinor: 40000 }] }],
  },
  { title: 'Secret board', category: 'Boards', vendor: 'Alpine', status: 'draft', variants: [{ prices: usd(1) }] },
]
beforeAll(async () => {
  shop = await testCatalogue()
  for (const goods of GOODS) await create(shop, aMug({ handle: undefined, ...goods }))
})
afterAll(() => shop.close())

const list = (query: string) => shop.send('GET', `/v1/products?${query}`)
const titles = ({ body }: Sent): string[] => body.data.map((product: { title: string }) => product.title)

test.each([
  [
    'everything on sale, newest first',
    '',
    ['Snowboard', 'Down jacket', 'Rain jacket', 'Travel mug', 'Blue coffee mug'],
  ],
  ['a word, in the title before in the description', 'q=mug', ['Travel mug', 'Blue coffee mug', 'Rain jacket']],
  ['another form of the word', 'q=jackets', ['Rain jacket', 'Down jacket']],
  ['two words', 'q=coffee+mug', ['Blue coffee mug']],
  ['a SKU', 'q=TM-1', ['Travel mug']],
  ['a vendor', 'q=steelworks', ['Travel mug']],
  ['a missing letter', 'q=cofee', ['Blue coffee mug']],
  ['a wrong letter', 'q=jocket', ['Rain jacket', 'Down jacket']],
  ['swapped letters', 'q=snowbaord', ['Snowboard']],
  ['the beginning of a word', 'q=snowb', ['Snowboard']],
  ['nothing like it', 'q=xylophone', []],
  ['only a stop word', 'q=the', []],
  ['signs that mean something to full text', 'q=%26%7C!():*', []],
  ['a category, in any case', 'category=mugs', ['Travel mug', 'Blue coffee mug']],
  ['a tag', 'tag=outdoor', ['Rain jacket', 'Travel mug']],
  ['a vendor and a tag', 'vendor=Alpine&tag=outdoor', ['Rain jacket']],
  ['an option', 'option[Size]=M', ['Down jacket', 'Rain jacket']],
  ['two options', 'option[Size]=L&option[Colour]=Red', ['Rain jacket']],
  ['a lowest price', 'price[gte]=9900', ['Down jacket', 'Rain jacket']],
  ['a price range', 'price[gte]=1200&price[lte]=2400', ['Travel mug', 'Blue coffee mug']],
  ['a price in another currency', 'currency=EUR&price[gte]=1', ['Snowboard']],
  ['what can be bought now', 'available=true', ['Snowboard', 'Down jacket', 'Rain jacket', 'Blue coffee mug']],
  ['what cannot', 'available=false', ['Travel mug']],
  ['by price', 'sort=price', ['Blue coffee mug', 'Travel mug', 'Rain jacket', 'Down jacket', 'Snowboard']],
  [
    'by price, dearest first',
    'sort=-price',
    ['Down jacket', 'Rain jacket', 'Travel mug', 'Blue coffee mug', 'Snowboard'],
  ],
  ['by title', 'sort=title', ['Blue coffee mug', 'Down jacket', 'Rain jacket', 'Snowboard', 'Travel mug']],
  ['a search by title', 'q=mug&sort=-title', ['Travel mug', 'Rain jacket', 'Blue coffee mug']],
])('finds %s: ?%s', async (_what, query, expected) => {
  const answer = await list(query)
  expect(answer.status).toBe(200)
  const byRank = query.startsWith('q=') && !query.includes('sort=')
  const found = titles(answer)
  // Equal ranks come in the order of ids, newest first: compare those as sets, and what is in a description last.
  expect(byRank ? [...found].sort() : found).toEqual(byRank ? [...expected].sort() : expected)
  if (query === 'q=mug') expect(found.at(-1)).toBe('Rain jacket')
})

test('facets count what matches, in every way it could be narrowed', async () => {
  const { body } = await list('category=jackets')
  expect(body.facets).toEqual({
    category: [{ value: 'Jackets', count: 2 }],
    vendor: [{ value: 'Alpine', count: 2 }],
    tag: [{ value: 'outdoor', count: 1 }],
    option: [
      { name: 'Size', value: 'M', count: 2 },
      { name: 'Colour', value: 'Red', count: 1 },
      { name: 'Size', value: 'L', count: 1 },
    ],
    price: [
      { gte: 5000, lte: 9999, count: 1 },
      { gte: 25000, lte: 49999, count: 1 },
    ],
  })
})

test.each(['-createdAt', 'createdAt', 'price', '-price', 'title', '-title', 'relevance'])(
  'pages by %s have every product once',
  async (sort) => {
    const query = `limit=2&sort=${sort}${sort === 'relevance' ? '&q=mug+or+jacket+or+snowboard' : ''}`
    const all = titles(await list(query.replace('limit=2', 'limit=100')))
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await list(`${query}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
      expect(page.body.facets === null).toBe(cursor !== '')
      seen.push(...titles(page))
      cursor = page.body.nextCursor
    }
    expect(seen).toEqual(all)
    expect(seen).toHaveLength(5)
  },
)

test('pages stay right while products are added', async () => {
  const first = await list('limit=3')
  await create(shop, aMug({ title: 'Brand new', variants: [{ onHand: 1, prices: usd(700) }] }))
  const second = await list(`limit=3&cursor=${first.body.nextCursor}`)
  expect([...titles(first), ...titles(second)]).toEqual([
    'Snowboard',
    'Down jacket',
    'Rain jacket',
    'Travel mug',
    'Blue coffee mug',
  ])
})

test('a cursor of another sort is refused', async () => {
  const { body } = await list('limit=1&sort=title')
  expect((await list(`limit=1&sort=price&cursor=${body.nextCursor}`)).status).toBe(400)
})

test('a list is at most two round trips, and none when somebody has just asked for it', async () => {
  await list('q=jacket&limit=50')
  for (const [query, most] of [
    ['q=jackets&limit=51', 2],
    ['q=jackets&limit=51', 0],
    ['q=mug', 2],
  ] as const) {
    const before = shop.statements()
    await list(query)
    expect(shop.statements() - before).toBeLessThanOrEqual(most)
  }
})

test('categories are counted', async () => {
  const { body } = await shop.send('GET', '/v1/categories')
  expect(body.data).toContainEqual({ category: 'Mugs', products: 2 })
  expect(body.data.map(({ category }: { category: string }) => category)).toEqual(['Boards', 'Jackets', 'Mugs'])
})

test('the newest product on sale and how many there are', async () => {
  expect(await shop.context.firstProduct()).toEqual({ count: 6, handle: expect.any(String), title: 'Brand new' })
})
