import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { csv, importing } from './importing.ts'

let shop: Awaited<ReturnType<typeof importing>>
beforeAll(async () => {
  shop = await importing()
})
afterAll(() => shop.close())

let name = 0
beforeEach(() => {
  name += 1
})
const mug = (more: Record<string, string> = {}) => ({
  Handle: `mug-${name}`,
  Title: 'Mug',
  'Option1 Name': 'Size',
  'Option1 Value': 'S',
  'Variant SKU': `M${name}`,
  'Variant Price': '10.00',
  'Variant Inventory Tracker': 'shopify',
  'Variant Inventory Qty': '10',
  ...more,
})
const product = async () => {
  const [row] = await shop.rows(sql<{
    title: string
    status: string
    vendor: string
    tags: string[]
    version: number
    attributes: object
  }>`
    select title, status, vendor, tags, version, attributes from catalog.products where handle = ${`mug-${name}`}`)
  return row!
}
const variants = () =>
  shop.rows(sql<{
    id: string
    key: string
    status: string
    onHand: number
    tracked: boolean
    backOrder: boolean
    price: number
    attributes: object
    image: string | null
  }>`
    select v.id, v.option_key as key, v.status, s.on_hand as "onHand", s.tracked, s.back_order as "backOrder", v.attributes,
      (select amount_minor from catalog.prices c where c.variant_id = v.id and currency = 'USD') as price,
      (select url from catalog.images i where i.id = v.image_id) as image
    from catalog.variants v join catalog.products p on p.id = v.product_id join catalog.stock s on s.variant_id = v.id
    where p.handle = ${`mug-${name}`} order by v.position`)
const sell = (quantity: number) =>
  shop.db.transaction().execute((tx) =>
    sql`update catalog.stock set on_hand = on_hand - ${quantity} where variant_id in (select v.id from catalog.variants v
      join catalog.products p on p.id = v.product_id where p.handle = ${`mug-${name}`})`.execute(tx),
  )

test('stock stays as it is when the file is imported again after a sale', async () => {
  await shop.take(csv(mug()))
  await sell(2)
  await shop.take(csv(mug()))
  await shop.take(csv(mug({ Title: 'Mug, renamed', 'Variant Inventory Qty': '99' })))
  expect((await variants())[0]).toMatchObject({ onHand: 8 })
  expect(await product()).toMatchObject({ title: 'Mug, renamed' })
})

test('with --stock it changes by what the file changed, with a movement', async () => {
  await shop.take(csv(mug()))
  await sell(2)
  const report = await shop.report(csv(mug({ 'Variant Inventory Qty': '15' })), { stock: true })
  expect(report.stock).toEqual({ opened: 0, changed: 1 })
  const [variant] = await variants()
  expect(variant).toMatchObject({ onHand: 13 })
  expect(
    await shop.rows(
      sql`select on_hand_change as change, reason, note from catalog.movements where variant_id = ${variant!.id} order by id`,
    ),
  ).toEqual([
    { change: 10, reason: 'opening', note: null },
    { change: 5, reason: 'import', note: 'shop.csv' },
  ])
  expect((await shop.report(csv(mug({ 'Variant Inventory Qty': '15' })), { stock: true })).stock.changed).toBe(0)
})

test('with --stock it never falls below nothing', async () => {
  await shop.take(csv(mug()))
  await sell(8)
  const report = await shop.report(csv(mug({ 'Variant Inventory Qty': '1' })), { stock: true })
  expect((await variants())[0]).toMatchObject({ onHand: 0 })
  expect(report.warnings.first).toMatchObject([{ code: 'negative-quantity', row: 2 }])
})

test('blank clears, an absent column keeps', async () => {
  await shop.take(csv(mug({ Vendor: 'Harrow', Tags: 'a, b', 'SEO Title': 'Buy' })))
  await shop.take(csv({ Handle: `mug-${name}`, Title: 'Mug', Vendor: '' }))
  expect(await product()).toMatchObject({ vendor: '', tags: ['a', 'b'], attributes: { 'SEO title': 'Buy' } })
  expect(await variants()).toMatchObject([{ price: 1000, onHand: 10 }])
  await shop.take(csv({ Handle: `mug-${name}`, Title: 'Mug', 'SEO title': '' }))
  expect(await product()).toMatchObject({ attributes: {} })
})

test('a changed option value is a new variant, the old one is missing, and archived on request', async () => {
  await shop.take(csv(mug()))
  const changed = csv(mug({ 'Option1 Value': 'Small' }))
  const report = await shop.report(changed)
  expect(report.variants.created).toBe(1)
  expect(report.missing.variants.first).toMatchObject([{ handle: `mug-${name}`, title: 'S' }])
  expect((await variants()).map(({ key, status }) => [key, status])).toEqual([
    ['["Small"]', 'active'],
    ['["S"]', 'active'],
  ])
  const again = await shop.report(changed, { archiveMissing: true })
  expect(again.missing.archived).toBeGreaterThanOrEqual(1)
  expect((await variants()).map(({ status }) => status)).toEqual(['active', 'archived'])
})

test('products that a newer file of the same name has no longer are missing', async () => {
  await shop.take(csv(mug()))
  const report = await shop.report(csv({ ...mug(), Handle: 'another-mug' }))
  expect(report.missing.products.first).toContain(`mug-${name}`)
  expect(await product()).toMatchObject({ status: 'active' })
  await shop.take(csv({ ...mug(), Handle: 'another-mug' }), { archiveMissing: true })
  expect(await product()).toMatchObject({ status: 'archived' })
})

test('existing products are left alone on request', async () => {
  await shop.take(csv(mug()))
  const report = await shop.report(csv(mug({ Title: 'Other' })), { existing: 'skip' })
  expect(report.skipped.first).toMatchObject([{ code: 'existing', row: 2, handle: `mug-${name}` }])
  expect(await product()).toMatchObject({ title: 'Mug', version: 1 })
})

test('a product last imported from another file is told', async () => {
  await shop.take(csv(mug()))
  const source = {
    name: 'other.csv',
    bytes: async function* () {
      yield Buffer.from(csv(mug({ Title: 'Theirs' })))
    },
  }
  const report = await shop.report('', {}, { source })
  expect(report.otherFile.first).toEqual([{ handle: `mug-${name}`, fileName: 'shop.csv' }])
})

test.each([
  [
    { 'Variant Inventory Tracker': '', 'Variant Inventory Qty': '7' },
    { tracked: false, onHand: 0 },
  ],
  [{ 'Variant Inventory Qty': '-3' }, { tracked: true, onHand: 0, backOrder: false }],
  [
    { 'Variant Inventory Qty': '-3', 'Variant Inventory Policy': 'continue' },
    { tracked: true, onHand: 0, backOrder: true },
  ],
])('stock of %j', async (cells, stock) => {
  await shop.take(csv(mug(cells)))
  expect((await variants())[0]).toMatchObject(stock)
})

test('the original of a quantity below 0 is in the note of the movement', async () => {
  const report = await shop.report(csv(mug({ 'Variant Inventory Qty': '-3' })))
  expect(report.warnings.first).toMatchObject([{ code: 'negative-quantity', row: 2 }])
  const [variant] = await variants()
  const [movement] = await shop.rows(sql`select note from catalog.movements where variant_id = ${variant!.id}`)
  expect(movement).toEqual({ note: 'the file said -3' })
})

test('a compare-at price that is no reduction is an attribute', async () => {
  await shop.take(csv(mug({ 'Variant Compare At Price': '10.00' })))
  expect(await variants()).toMatchObject([{ attributes: { 'Compare-at price': '10.00' } }])
  await shop.take(csv(mug({ 'Variant Compare At Price': '12.00' })))
  expect(await variants()).toMatchObject([{ attributes: {} }])
})

test('the image of a variant is linked, and is one of the product', async () => {
  const url = 'https://images.example/mug.png'
  await shop.take(csv(mug({ 'Image Src': url, 'Variant Image': url })))
  expect(await variants()).toMatchObject([{ image: url }])
})

test('a dry run reports the same and saves nothing', async () => {
  const before = await shop.everything()
  const dry = await shop.report(csv(mug()), {}, { dryRun: true })
  expect(dry.products.created.count).toBe(1)
  expect(await shop.everything()).toEqual(before)
})

test.each([
  ['cut off in a quoted cell', 'Handle,Title\na,A\nb,"B', 3],
  ['cut off between cells', 'Handle,Title,Vendor\na,A,V\nb,B', 3],
  ['a NUL byte', 'Handle,Title\na,A\nb,B\0\n', 3],
  ['Windows-1252', Buffer.from('Handle,Title\na,A\nb,Caf\xe9\n', 'latin1'), 3],
  ['UTF-16', Buffer.from('\ufeffHandle,Title\na,A\n', 'utf16le'), 1],
  ['two columns of one meaning', 'Handle,SKU,Variant SKU\na,1,2\n', 1],
  ['a product in two places', 'Handle,Title\na,A\nb,B\na,A\n', 4],
  ['nothing', '', 1],
  ['no CSV', '{"products": []}', 1],
  ['semicolons', 'Handle;Title\na;A\n', 1],
])('%s is refused with its row, and nothing of the file is applied', async (_what, text, row) => {
  const before = await shop.everything()
  const outcome = await shop.take(text)
  expect(outcome).toMatchObject({ status: 'refused', problem: { row } })
  expect(await shop.everything()).toEqual(before)
})

test('broken off, it goes on where it stopped', async () => {
  const rows = Array.from({ length: 250 }, (_, index) => ({ ...mug(), Handle: `bulk-${name}-${index}` }))
  const stop = new AbortController()
  const onProgress = (done: number) => done > 0 && stop.abort(new Error('stopped'))
  await expect(shop.take(csv(...rows), {}, { signal: stop.signal, onProgress })).rejects.toThrow('stopped')
  const [half] = await shop.rows(
    sql<{ rows_done: number }>`select rows_done from catalog.imports where status = 'running'`,
  )
  expect(half!.rows_done).toBeGreaterThan(1)
  expect(half!.rows_done).toBeLessThan(251)
  const outcome = await shop.take(csv(...rows))
  expect(outcome).toMatchObject({ status: 'finished', import: { rowsDone: half!.rows_done } })
  expect(outcome.status === 'finished' && outcome.report.products.created.count).toBe(250)
  const again = await shop.take(csv(...rows))
  expect(again).toMatchObject({
    import: { finishedBefore: expect.any(Date) },
    report: { products: { unchanged: { count: 250 } } },
  })
})
