import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { HoldLine } from '#contexts/catalog/index.ts'
import type { OrderId, VariantId } from '#kernel/ids.ts'
import { Refusal } from '#kernel/refusal.ts'
import { newId } from '#platform/ids.ts'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { aMug, create, stockOf, type TestCatalogue, testCatalogue, unbalanced } from './catalogue.ts'

let shop: TestCatalogue
beforeAll(async () => {
  shop = await testCatalogue()
})
afterAll(() => shop.close())
afterEach(async () => {
  expect(await unbalanced(shop)).toEqual([])
})

/** The variant of a new mug with so many on hand. */
async function aVariant(onHand: number, variant: Record<string, unknown> = {}): Promise<VariantId> {
  const product = await create(shop, aMug({}, { onHand, ...variant }))
  return product.variants[0].id
}
const line = (variantId: VariantId, quantity = 1, unitPriceMinor = 1200): HoldLine => ({
  ...{ variantId, quantity, unitPriceMinor },
  pointer: '/items/0',
})

/** Places an order's hold; answers the order, or the refusal. */
async function hold(...lines: HoldLine[]): Promise<{ order: OrderId; refused?: Refusal }> {
  const order = newId('ord')
  try {
    await shop.run((work) => shop.context.holdStock(work, { reference: order, currency: 'USD', lines }))
    return { order }
  } catch (error) {
    if (error instanceof Refusal) return { order, refused: error }
    throw error
  }
}
const commit = (...orders: OrderId[]) => shop.run((work) => shop.context.commitStock(work, orders))
const release = (...orders: OrderId[]) => shop.run((work) => shop.context.releaseStock(work, orders, 'expired'))
const ship = (order: OrderId, ...lines: { variantId: VariantId; quantity: number }[]) =>
  shop.run((work) => shop.context.shipStock(work, order, lines))
const adjust = (body: object, headers = {}) =>
  shop.staff('POST', '/v1/inventory/adjustments', { reason: 'counted', ...body }, headers)

test.each([
  [1, 60],
  [7, 60],
  [50, 120],
])('of the last %i units, %i buyers at once get exactly those', async (units, buyers) => {
  const variantId = await aVariant(units)
  const answers = await Promise.all(Array.from({ length: buyers }, () => hold(line(variantId))))
  const refused = answers.flatMap((answer) => answer.refused ?? [])
  expect(answers.length - refused.length).toBe(units)
  expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['catalog.out-of-stock']))
  expect(await stockOf(shop, variantId)).toEqual({ on_hand: units, held: units, committed: 0, shortage: 0 })
})

test('two SKUs in opposite order do not deadlock, and none is oversold', async () => {
  const [a, b] = [await aVariant(20), await aVariant(20)]
  const before = await deadlocks()
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) => (index % 2 ? hold(line(a), line(b)) : hold(line(b), line(a)))),
  )
  expect(answers.filter(({ refused }) => !refused)).toHaveLength(20)
  expect(await stockOf(shop, a)).toMatchObject({ held: 20 })
  expect(await stockOf(shop, b)).toMatchObject({ held: 20 })
  expect(await deadlocks()).toBe(before)
})

const deadlocks = async () =>
  (
    await shop.rows(
      sql<{ deadlocks: number }>`select deadlocks from pg_stat_database where datname = current_database()`,
    )
  )[0]!.deadlocks

test('an adjustment in the middle of a storm: what is sold is what there was', async () => {
  const variantId = await aVariant(10)
  const buyers = Array.from({ length: 60 }, async (_, index) => {
    if (index === 30) await adjust({ variantId, change: 5 })
    return hold(line(variantId))
  })
  const sold = (await Promise.all(buyers)).filter(({ refused }) => !refused).length
  const stock = await stockOf(shop, variantId)
  expect(stock).toMatchObject({ on_hand: 15, held: sold, shortage: 0 })
  expect(sold).toBeGreaterThanOrEqual(10)
  expect(sold).toBeLessThanOrEqual(15)
})

test('a hold is one statement; all or nothing; the same variant on two lines is one', async () => {
  const variantId = await aVariant(5)
  const before = shop.statements()
  const { refused } = await hold(line(variantId, 2), { ...line(variantId, 2), pointer: '/items/1' })
  expect(refused).toBeUndefined()
  expect(shop.statements() - before).toBe(3) // begin, hold, commit
  expect(await stockOf(shop, variantId)).toMatchObject({ held: 4 })
})

test('short stock names all short lines, and nothing is held', async () => {
  const [plenty, few, none] = [await aVariant(9), await aVariant(2), await aVariant(0)]
  const { order, refused } = await hold(
    { ...line(plenty, 3), pointer: '/items/0' },
    { ...line(few, 3), pointer: '/items/1' },
    { ...line(none), pointer: '/items/2' },
  )
  expect(refused).toMatchObject({ code: 'catalog.out-of-stock', kind: 'conflict' })
  expect(refused?.facts.errors).toEqual([
    { pointer: '/items/1', detail: 'only 2 of 3 left', variantId: few, wanted: 3, available: 2 },
    { pointer: '/items/2', detail: 'only 0 of 1 left', variantId: none, wanted: 1, available: 0 },
  ])
  expect(await stockOf(shop, plenty)).toMatchObject({ held: 0 })
  expect(await shop.rows(sql`select 1 from catalog.holds where reference = ${order}`)).toEqual([])
})

test('another price than was seen, no price, an archived or unknown variant: each refused by its name', async () => {
  const variantId = await aVariant(5)
  expect((await hold(line(variantId, 1, 1100))).refused?.code).toBe('catalog.price-moved')
  expect((await hold(line(variantId, 1, 1200), line(variantId, 1, 1100))).refused?.code).toBe('catalog.price-moved')
  expect((await hold(line('var_01jd2zq8k5e6v9w3x7y2m4n6p8'))).refused?.code).toBe('catalog.not-for-sale')
  const draft = await create(shop, aMug({ status: 'draft' }))
  expect((await hold(line(draft.variants[0].id))).refused?.code).toBe('catalog.not-for-sale')
  await shop.staff('DELETE', `/v1/products/${draft.id}/variants/${draft.variants[0].id}`, undefined, {
    'if-match': draft.etag,
  })
  await shop.staff('PATCH', `/v1/products/${draft.id}`, { status: 'active' }, { 'if-match': '"2"' })
  expect((await hold(line(draft.variants[0].id))).refused?.code).toBe('catalog.not-for-sale')
})

test('untracked and back-ordered variants sell without limit', async () => {
  const untracked = await aVariant(0, { tracked: false })
  const backOrder = await aVariant(1, { backOrder: true })
  const { order, refused } = await hold(line(untracked, 50), line(backOrder, 3))
  expect(refused).toBeUndefined()
  expect(await commit(order)).toEqual([order])
  await ship(order, { variantId: untracked, quantity: 50 })
  expect(await stockOf(shop, untracked)).toEqual({ on_hand: 0, held: 0, committed: 0, shortage: 0 })
  await expect(ship(order, { variantId: backOrder, quantity: 3 })).rejects.toMatchObject({
    code: 'catalog.nothing-on-hand',
  })
  await adjust({ variantId: backOrder, change: 2 })
  await ship(order, { variantId: backOrder, quantity: 3 })
  expect(await stockOf(shop, backOrder)).toEqual({ on_hand: 0, held: 0, committed: 0, shortage: 0 })
})

test('held, committed, shipped, returned: each step once, however often it is asked for', async () => {
  const [a, b] = [await aVariant(5), await aVariant(5)]
  const [first, second] = [(await hold(line(a, 2), line(b))).order, (await hold(line(a))).order]
  expect((await commit(first, second)).sort()).toEqual([first, second].sort())
  expect(await commit(first, second)).toEqual([])
  expect(await stockOf(shop, a)).toEqual({ on_hand: 5, held: 0, committed: 3, shortage: 0 })
  await ship(first, { variantId: a, quantity: 1 }, { variantId: b, quantity: 1 })
  expect(await stockOf(shop, a)).toEqual({ on_hand: 4, held: 0, committed: 2, shortage: 0 })
  await expect(ship(first, { variantId: a, quantity: 2 })).rejects.toThrow(Refusal)
  await shop.run((work) => shop.context.restockStock(work, first, [{ variantId: a, quantity: 1 }], 'committed'))
  await shop.run((work) => shop.context.restockStock(work, first, [{ variantId: b, quantity: 1 }], 'returned'))
  await expect(
    shop.run((work) => shop.context.restockStock(work, first, [{ variantId: b, quantity: 1 }], 'returned')),
  ).rejects.toThrow('not as many units')
  expect(await stockOf(shop, a)).toEqual({ on_hand: 4, held: 0, committed: 1, shortage: 0 })
  expect(await stockOf(shop, b)).toEqual({ on_hand: 5, held: 0, committed: 0, shortage: 0 })
  await release(second)
  await release(second)
  expect(await stockOf(shop, a)).toEqual({ on_hand: 4, held: 0, committed: 0, shortage: 0 })
})

test('a late payment takes its stock again while there is enough, and changes nothing when there is not', async () => {
  const [a, b] = [await aVariant(1), await aVariant(1)]
  const { order } = await hold(line(a), line(b))
  await release(order)
  const rehold = () => shop.run((work) => shop.context.reholdStock(work, order))
  const { order: rival } = await hold(line(a))
  expect(await rehold()).toBe(false)
  expect(await stockOf(shop, b)).toMatchObject({ held: 0, committed: 0 })
  await release(rival)
  expect(await rehold()).toBe(true)
  expect(await stockOf(shop, a)).toMatchObject({ held: 0, committed: 1 })
})

test('expiry and payment at once: the units end in one place', async () => {
  const variantId = await aVariant(30)
  const orders = await Promise.all(Array.from({ length: 30 }, async () => (await hold(line(variantId))).order))
  await Promise.all(
    orders.flatMap((order) => [commit(order), shop.run((work) => shop.context.releaseStock(work, [order], 'expired'))]),
  )
  const stock = await stockOf(shop, variantId)
  const [states] = await shop.rows(sql<{ committed: number; released: number }>`
    select sum(committed)::int as committed, sum(released)::int as released from catalog.holds where variant_id = ${variantId}`)
  expect(stock).toMatchObject({ on_hand: 30, held: 0, committed: states!.committed })
  expect(states!.committed + states!.released).toBe(30)
})

test('a process that fails right after the hold leaves nothing behind', async () => {
  const variantId = await aVariant(1)
  enableFailpoints('stock.held=error')
  await expect(hold(line(variantId))).rejects.toThrow('stock.held')
  enableFailpoints('')
  expect(await stockOf(shop, variantId)).toMatchObject({ held: 0 })
})

test('an adjustment is a change or a count, with its reason in a movement and an audit row', async () => {
  const variantId = await aVariant(10)
  const changed = await adjust({ variantId, change: -3, reason: 'broken' })
  expect(changed).toMatchObject({ status: 201, body: { onHand: 7, available: 7, shortage: 0, location: 'main' } })
  const moved = await adjust({ variantId, count: 9, expected: 10 })
  expect(moved).toMatchObject({ status: 409, body: { code: 'catalog.stock-moved', onHand: 7, expected: 10 } })
  expect((await adjust({ variantId, count: 9, expected: 7 })).body.onHand).toBe(9)
  const movements = await shop.rows(sql`
    select on_hand_change as change, reason, note, actor_id is not null as by from catalog.movements where variant_id = ${variantId} order by id`)
  expect(movements).toEqual([
    { change: 10, reason: 'opening', note: null, by: true },
    { change: -3, reason: 'adjustment', note: 'broken', by: true },
    { change: 2, reason: 'adjustment', note: 'counted', by: true },
  ])
  const audit = await shop.rows(
    sql`select before, after from platform.audit_log where subject = ${variantId} order by id`,
  )
  expect(audit).toMatchObject([
    { before: { onHand: 10 }, after: { onHand: 7 } },
    { before: { onHand: 7 }, after: { onHand: 9 } },
  ])
})

test('the same adjustment with the same key is made once', async () => {
  const variantId = await aVariant(10)
  const key = { 'idempotency-key': 'adjust-once' }
  const [first, second] = [await adjust({ variantId, change: 1 }, key), await adjust({ variantId, change: 1 }, key)]
  expect([first.status, second.status, second.headers['idempotent-replayed']]).toEqual([201, 201, 'true'])
  expect(await stockOf(shop, variantId)).toMatchObject({ on_hand: 11 })
})

test('counting less than is sold is refused, or becomes a shortage that sales and shipments respect', async () => {
  const variantId = await aVariant(5)
  const { order } = await hold(line(variantId, 4))
  await commit(order)
  const refused = await adjust({ variantId, count: 1, expected: 5 })
  expect(refused).toMatchObject({ status: 409, body: { code: 'catalog.stock-is-sold', committed: 4 } })
  const short = await adjust({ variantId, count: 1, expected: 5, allowShortage: true })
  expect(short.body).toMatchObject({ onHand: 1, committed: 4, available: 0, shortage: 3 })
  expect((await hold(line(variantId))).refused?.code).toBe('catalog.out-of-stock')
  await ship(order, { variantId, quantity: 1 })
  await expect(ship(order, { variantId, quantity: 1 })).rejects.toMatchObject({ code: 'catalog.nothing-on-hand' })
  expect(await stockOf(shop, variantId)).toEqual({ on_hand: 0, held: 0, committed: 3, shortage: 3 })
  await release(order)
  expect(await stockOf(shop, variantId)).toEqual({ on_hand: 0, held: 0, committed: 0, shortage: 0 })
})

test.each([
  ['neither form', {}, 422],
  ['both forms', { change: 1, count: 1, expected: 1 }, 422],
  ['a count without what was expected', { count: 1 }, 422],
  ['no change', { change: 0 }, 422],
  ['a fraction', { change: 0.5 }, 400],
  ['a text', { change: '1' }, 400],
  ['a count below 0', { count: -1, expected: 1 }, 422],
  ['more than there is', { change: -99 }, 409],
  ['no reason', { change: 1, reason: '' }, 422],
  ['an unknown location', { change: 1, location: 'moon' }, 404],
  ['a huge number', { change: 2 ** 40 }, 422],
  ['an unconditional set', { onHand: 5 }, 400],
])('bad adjustment: %s', async (_what, body, status) => {
  const variantId = await aVariant(1)
  expect((await adjust({ variantId, ...body })).status).toBe(status)
  expect(await stockOf(shop, variantId)).toMatchObject({ on_hand: 1 })
})

test('an adjustment needs a key and the right to make it', async () => {
  const variantId = await aVariant(1)
  const body = { variantId, change: 1, reason: 'found' }
  const noKey = await shop.http.inject({
    method: 'POST',
    url: '/v1/inventory/adjustments',
    payload: body,
    headers: { authorization: 'catalogue' },
  })
  expect(noKey.statusCode).toBe(400)
  expect((await shop.send('POST', '/v1/inventory/adjustments', body)).status).toBe(401)
  expect((await shop.send('POST', '/v1/inventory/adjustments', body, { authorization: 'support' })).status).toBe(403)
})

test('the inventory is listed by variant, by SKU, and in pages', async () => {
  const [a, b] = [await aVariant(1, { sku: 'SHARED' }), await aVariant(2, { sku: 'SHARED' })]
  const bySku = await shop.staff('GET', '/v1/inventory?sku=SHARED')
  expect(bySku.body.data.map((row: { variantId: string }) => row.variantId).sort()).toEqual([a, b].sort())
  expect((await shop.context.variantsBySku('SHARED')).sort()).toEqual([a, b].sort())
  const one = await shop.staff('GET', `/v1/inventory?variantId=${b}`)
  expect(one.body).toMatchObject({ data: [{ onHand: 2, sku: 'SHARED', location: 'main' }], nextCursor: null })
  const first = await shop.staff('GET', '/v1/inventory?sku=SHARED&limit=1')
  const second = await shop.staff('GET', `/v1/inventory?sku=SHARED&limit=1&cursor=${first.body.nextCursor}`)
  expect([first, second].flatMap((page) => page.body.data).map((row: { variantId: string }) => row.variantId)).toEqual(
    [a, b].sort(),
  )
  expect(second.body.nextCursor).toBeNull()
  expect((await shop.staff('GET', '/v1/locations')).body.data).toEqual([{ id: 'main', name: 'Main' }])
})

test('sellables are read once for all who ask at once, kept for a moment, and now when asked so', async () => {
  const ids = [await aVariant(3), await aVariant(4)]
  const before = shop.statements()
  const asked = await Promise.all(Array.from({ length: 10 }, () => shop.context.sellables(ids, 'USD')))
  await shop.context.sellables(ids, 'USD')
  expect(shop.statements() - before).toBe(1)
  expect(asked[0]!.get(ids[0]!)).toMatchObject({
    unitPriceMinor: 1200,
    available: 3,
    onSale: true,
    tracked: true,
    title: 'Mug',
  })
  await hold(line(ids[0]!))
  expect((await shop.context.sellables(ids, 'USD', 'now')).get(ids[0]!)?.available).toBe(2)
  expect((await shop.context.sellables(['var_01jd2zq8k5e6v9w3x7y2m4n6p8'], 'USD')).size).toBe(0)
  expect((await shop.context.sellables(ids, 'EUR')).get(ids[0]!)?.unitPriceMinor).toBeNull()
})

test('movements are for ever: the service can neither change nor delete them', async () => {
  await expect(shop.rows(sql`update catalog.movements set note = 'x'`)).rejects.toThrow('permission denied')
  await expect(shop.rows(sql`delete from catalog.movements`)).rejects.toThrow('permission denied')
})
