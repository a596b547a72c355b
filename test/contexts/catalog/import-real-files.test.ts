import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ImportReport } from '#contexts/catalog/domain/import-report.ts'
import { systemActor } from '#platform/db/system.ts'
import { importing, reportOf } from './importing.ts'

const FOLDER = join(import.meta.dirname, '../../../../shared/data/shopify')
const FILES = ['apparel', 'bicycles', 'jewelry', 'snowdevil']
const OPTIONS = { currency: 'USD', publish: false, existing: 'update', archiveMissing: false, stock: false } as const

/** Four real exports, which are not part of this project: without them there is nothing to count. */
describe.skipIf(!existsSync(FOLDER))('four real Shopify exports', () => {
  let shop: Awaited<ReturnType<typeof importing>>
  let reports: ImportReport[]
  const importAll = async () => {
    const all: ImportReport[] = []
    for (const name of FILES) {
      const source = { name: `${name}.csv`, bytes: () => createReadStream(join(FOLDER, `${name}.csv`)) }
      all.push(reportOf(await shop.run({ actor: systemActor, requestId: 'test-import' }, { source, options: OPTIONS })))
    }
    return all
  }

  beforeAll(async () => {
    shop = await importing()
    reports = await importAll()
  })
  afterAll(() => shop.close())

  test('give 606 products, 1,863 variants and 1,526 images', async () => {
    expect(reports.map((report) => report.products.created.count)).toEqual([25, 284, 19, 278])
    expect(reports.map((report) => report.variants.created)).toEqual([96, 1121, 24, 622])
    expect(reports.reduce((sum, report) => sum + report.images, 0)).toBe(1526)
    const [counts] = await shop.rows(sql`
      select (select count(*)::int from catalog.products) as products, (select count(*)::int from catalog.variants) as variants,
        (select count(*)::int from catalog.images) as images, (select count(*)::int from catalog.stock) as stock,
        (select count(*)::int from catalog.stock where not tracked) as untracked,
        (select count(*)::int from catalog.stock where back_order) as back_orders,
        (select count(*)::int from catalog.variants where sku is null) as without_sku,
        (select count(*)::int from catalog.products where status = 'draft') as drafts,
        (select count(*)::int from catalog.products where options = '{Title}') as title_options`)
    expect(counts).toEqual({
      products: 606,
      variants: 1863,
      images: 1526,
      stock: 1863,
      untracked: 54,
      back_orders: 26,
      without_sku: 647,
      drafts: 59,
      title_options: 25,
    })
  })

  test('tell of missing and shared SKUs, and of the HTML that is not served', () => {
    const shared = reports.flatMap((report) => report.sharedSkus.first)
    expect(shared).toHaveLength(31)
    expect(shared.flatMap(({ rows }) => rows)).toHaveLength(73)
    expect(reports.reduce((sum, report) => sum + report.withoutSku.count, 0)).toBe(647)
    const dropped = (name: string) =>
      reports.reduce((sum, { droppedHtml }) => sum + (droppedHtml[name]?.products ?? 0), 0)
    expect([dropped('<script>'), dropped('<iframe>'), dropped('style=')]).toEqual([1, 6, 179])
    expect(reports.every((report) => report.skipped.count === 0)).toBe(true)
  })

  test('change nothing when imported again, not after a sale either', async () => {
    await shop.db.transaction().execute((tx) =>
      sql`update catalog.stock set on_hand = on_hand - 2 where variant_id = (
        select variant_id from catalog.stock where tracked and on_hand > 2 order by variant_id limit 1)`.execute(tx),
    )
    const before = await shop.everything()
    const again = await importAll()
    expect(again.map((report) => report.products.unchanged.count)).toEqual([25, 284, 19, 278])
    expect(again.map((report) => report.products.created.count + report.products.updated.count)).toEqual([0, 0, 0, 0])
    expect(await shop.everything()).toEqual(before)
  })
})
