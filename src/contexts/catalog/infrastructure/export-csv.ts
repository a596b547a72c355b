import { stringify } from 'csv-stringify/sync'
import { sql } from 'kysely'
import type { ProductId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import { type ExportShape, exportHeader, exportRows } from '../domain/shopify-export.ts'
import { MAIN_LOCATION, type Stock } from '../domain/stock.ts'
import { readProducts } from './product-store.ts'

/** Writes the catalogue as a Shopify product file; `onProgress` is told how many products are written, of how many. */
export type ExportProducts = (
  currency: Currency,
  onProgress?: (done: number, products: number) => void,
) => AsyncGenerator<string>

const BATCH = 100

/** Makes the export: in flat memory, in the order in which the products were made. */
export const makeExport = (reader: Reader): ExportProducts =>
  async function* exportProducts(currency, onProgress) {
    const { products, ...shape } = await readShape(reader, currency)
    yield lines([exportHeader(shape)])
    let done = 0
    for (let after: string | undefined = ''; after !== undefined; ) {
      const ids = await readIdsAfter(reader, after)
      after = ids.at(-1)
      if (ids.length === 0) break
      const batch = await readProducts(reader, { ids })
      const stock = await readStock(reader, ids)
      yield lines(batch.flatMap((product) => exportRows(product, stock, shape)))
      done += ids.length
      onProgress?.(done, products)
    }
  }

/** A lone carriage return, or a space at an end, would not survive outside of quotation marks. */
const lines = (rows: readonly string[][]): string => stringify([...rows], { quoted_match: /[\r\n]|^\s|\s$/ })

async function readShape(reader: Reader, currency: Currency): Promise<ExportShape & { products: number }> {
  const { rows } = await sql<{ products: number; currencies: string[]; attributes: string[]; options: number }>`
    select (select count(*)::int from catalog.products) as products,
      coalesce((select max(cardinality(options)) from catalog.products), 0) as options,
      coalesce((select array_agg(distinct currency order by currency) from catalog.prices where currency <> ${currency}), '{}') as currencies,
      coalesce((select array_agg(name order by lower(name), name) from (
        select jsonb_object_keys(attributes) collate "C" as name from catalog.products
        union select jsonb_object_keys(attributes) collate "C" from catalog.variants where status = 'active') as used), '{}') as attributes`.execute(
    reader,
  )
  const { currencies, ...shape } = rows[0]!
  return { ...shape, currency, otherCurrencies: currencies }
}

async function readIdsAfter(reader: Reader, after: string): Promise<ProductId[]> {
  const { rows } = await sql<{ id: ProductId }>`
    select id from catalog.products where id > ${after} order by id limit ${BATCH}`.execute(reader)
  return rows.map((row) => row.id)
}

async function readStock(reader: Reader, ids: readonly ProductId[]): Promise<Map<VariantId, Stock>> {
  const { rows } = await sql<Stock>`
    select s.variant_id as "variantId", s.location, s.on_hand as "onHand", s.held, s.committed, s.tracked,
      s.back_order as "backOrder", s.shortage
    from catalog.stock s join catalog.variants v on v.id = s.variant_id
    where v.product_id = any(${ids}::text[]) and s.location = ${MAIN_LOCATION}`.execute(reader)
  return new Map(rows.map((stock) => [stock.variantId, stock]))
}
