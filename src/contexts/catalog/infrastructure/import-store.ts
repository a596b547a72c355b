import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { Damage } from '#kernel/file.ts'
import type { ImportId, ProductId, VariantId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Imported } from '../application/apply-readings.ts'
import type { ImportStart, StartedImport } from '../application/import-products.ts'
import type { TakenQuantity } from '../application/import-stock.ts'
import type { FileProduct } from '../domain/file-product.ts'
import type { ImportReport } from '../domain/import-report.ts'

/** Makes the row of an import, or takes up the unfinished one of the same file and options. */
export async function startImport(work: Work, start: ImportStart, report: ImportReport): Promise<StartedImport> {
  const { rows } = await sql<StartedImport>`
    insert into catalog.imports (id, file_name, sha256, options, status, rows, report, created_at, updated_at)
    values (${start.id}, ${start.fileName}, ${start.sha256}, ${JSON.stringify(start.options)}::jsonb, 'running', ${start.rows},
      ${JSON.stringify(report)}::jsonb, ${work.now}::timestamptz, ${work.now}::timestamptz)
    on conflict (sha256, options) where status in ('waiting', 'running') do update
      set status = 'running', rows = excluded.rows, report = coalesce(imports.report, excluded.report), updated_at = excluded.updated_at
    returning id, rows_done as "rowsDone", report,
      (select max(finished_at) from catalog.imports i where i.sha256 = ${start.sha256} and i.options = ${JSON.stringify(start.options)}::jsonb
        and i.status = 'finished') as "finishedBefore"`.execute(work.tx)
  return rows[0]!
}

/** Notes that the rows up to `to` are applied. Throws when another process has moved the import on meanwhile. */
export async function moveImport(
  work: Work,
  id: ImportId,
  from: number,
  to: number,
  report: ImportReport,
): Promise<void> {
  const { rows } = await sql`
    update catalog.imports set rows_done = ${to}, report = ${JSON.stringify(report)}::jsonb, updated_at = ${work.now}::timestamptz
    where id = ${id} and status = 'running' and rows_done = ${from} returning id`.execute(work.tx)
  if (rows.length === 0) throw new Error('Another process is importing this file; look at its report.')
}

/** Notes that an import is done, and lets go of its uploaded file. */
export async function endImport(work: Work, id: ImportId, report: ImportReport): Promise<void> {
  await sql`
    with dropped as (delete from catalog.import_pieces where import_id = ${id})
    update catalog.imports set status = 'finished', rows_done = rows, report = ${JSON.stringify(report)}::jsonb,
      updated_at = ${work.now}::timestamptz, finished_at = ${work.now}::timestamptz
    where id = ${id}`.execute(work.tx)
}

/** Notes that a file is damaged, and where, on its unfinished import, if it has one, and lets go of its upload. */
export async function refuseImport(work: Work, { sha256, options }: ImportStart, problem: Damage): Promise<void> {
  await sql`
    with refused as (
      update catalog.imports set status = 'refused', problem = ${JSON.stringify(problem)}::jsonb,
        updated_at = ${work.now}::timestamptz, finished_at = ${work.now}::timestamptz
      where sha256 = ${sha256} and options = ${JSON.stringify(options)}::jsonb and status in ('waiting', 'running')
      returning id)
    delete from catalog.import_pieces where import_id in (select id from refused)`.execute(work.tx)
}

/** A hash of what a file says of a product, without where it says so and how many there are. */
export function hashProduct(product: FileProduct): Buffer {
  const content = JSON.stringify(product, (name, value) => (name === 'row' || name === 'quantity' ? undefined : value))
  return createHash('sha256').update(content).digest()
}

export async function readImported(work: Work, ids: readonly ProductId[]): Promise<Imported[]> {
  const { rows } = await sql<Imported>`
    select product_id as "productId", file_name as "fileName", content_hash as hash
    from catalog.imported_products where product_id = any(${ids}::text[])`.execute(work.tx)
  return rows
}

export async function saveImported(work: Work, imported: readonly Imported[]): Promise<void> {
  await sql`
    insert into catalog.imported_products (product_id, file_name, content_hash)
    select product_id, file_name, content_hash from unnest(${imported.map((one) => one.productId)}::text[],
      ${imported.map((one) => one.fileName)}::text[], ${imported.map((one) => one.hash)}::bytea[])
      as given (product_id, file_name, content_hash)
    on conflict (product_id) do update set file_name = excluded.file_name, content_hash = excluded.content_hash`.execute(
    work.tx,
  )
}

/** The products, archived ones aside, that were last imported from a file of this name. */
export async function readProductsOfFile(work: Work, fileName: string): Promise<{ id: ProductId; handle: string }[]> {
  const { rows } = await sql<{ id: ProductId; handle: string }>`
    select p.id, p.handle from catalog.imported_products i join catalog.products p on p.id = i.product_id
    where i.file_name = ${fileName} and p.status <> 'archived' order by p.handle`.execute(work.tx)
  return rows
}

export async function readQuantities(work: Work, ids: readonly VariantId[]): Promise<TakenQuantity[]> {
  const { rows } = await sql<TakenQuantity>`
    select variant_id as "variantId", quantity from catalog.imported_quantities
    where variant_id = any(${ids}::text[])`.execute(work.tx)
  return rows
}

export async function saveQuantities(work: Work, taken: readonly TakenQuantity[]): Promise<void> {
  await sql`
    insert into catalog.imported_quantities (variant_id, quantity)
    select variant_id, quantity from unnest(${taken.map((one) => one.variantId)}::text[], ${taken.map((one) => one.quantity)}::int[])
      as given (variant_id, quantity)
    on conflict (variant_id) do update set quantity = excluded.quantity`.execute(work.tx)
}
