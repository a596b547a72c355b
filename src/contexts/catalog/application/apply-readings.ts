import type { ProductId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type DecideContext, type Decided, decideProduct, type ImportOptions } from '../domain/decide-product.ts'
import type { FileProduct, Note } from '../domain/file-product.ts'
import { addReports, emptyReport, type ImportReport, many } from '../domain/import-report.ts'
import { type Product, variantTitle } from '../domain/product.ts'
import type { Reading } from '../domain/shopify-products.ts'
import type { ImportStock } from './import-stock.ts'

/** Which file is being imported, how, and by which import: null in a dry run. */
export type ImportContext = {
  readonly options: ImportOptions
  readonly fileName: string
  readonly importId: string | null
}

/** What was last imported of a product: from which file, and a hash of what that said. */
export type Imported = { readonly productId: ProductId; readonly fileName: string; readonly hash: Buffer }

export type ApplyNeeds = Pick<DecideContext, 'newProductId' | 'newVariantId' | 'newImageId' | 'sanitise'> & {
  readonly lockProducts: (work: Work, which: { readonly handles: readonly string[] }) => Promise<Product[]>
  readonly saveProducts: (work: Work, products: readonly Product[]) => Promise<void>
  readonly readImported: (work: Work, ids: readonly ProductId[]) => Promise<Imported[]>
  readonly saveImported: (work: Work, imported: readonly Imported[]) => Promise<void>
  readonly hashProduct: (product: FileProduct) => Buffer
  readonly importStock: ImportStock
}

export type ApplyReadings = (work: Work, readings: readonly Reading[], context: ImportContext) => Promise<ImportReport>

/** Applies a piece of a file in the transaction of `work`; products of which it says nothing new are not written. */
export const applyReadings =
  (needs: ApplyNeeds): ApplyReadings =>
  async (work, readings, context) => {
    const { options, fileName } = context
    const files = readings.flatMap(({ product }) => product ?? [])
    const found = await needs.lockProducts(work, { handles: files.map((file) => file.handle) })
    const existing = new Map(found.map((product) => [product.handle, product]))
    const known = await needs.readImported(
      work,
      found.map((product) => product.id),
    )
    const imported = new Map(known.map((one) => [one.productId, one]))

    const toSave: Product[] = []
    const toRemember: Imported[] = []
    const variants: Parameters<ImportStock>[1][number][] = []
    const reports = readings.map((reading) => {
      const { product: file } = reading
      if (!file) return reportSkipped('', reading.skipped)
      const before = existing.get(file.handle)
      const last = before && imported.get(before.id)
      const hash = needs.hashProduct(file)
      const same = last?.hash.equals(hash) ?? false
      const decided = decideProduct(before, file, same, { ...needs, options, now: work.now })
      if (decided.outcome === 'skipped') return reportSkipped(file.handle, [decided.note])
      const { outcome, product, events } = decided
      if (outcome !== 'unchanged') toSave.push(product)
      if (!same || last?.fileName !== fileName) toRemember.push({ productId: product.id, fileName, hash })
      if (!same || options.stock) variants.push(...decided.variants)
      work.emit(...events)
      const otherFile = last && last.fileName !== fileName ? [{ handle: file.handle, fileName: last.fileName }] : []
      return { ...report(file, reading, decided, options), otherFile: many(otherFile) }
    })
    if (toSave.length > 0) await needs.saveProducts(work, toSave)
    if (toRemember.length > 0) await needs.saveImported(work, toRemember)
    reports.push(await needs.importStock(work, variants, context))
    return reports.reduce(addReports, emptyReport)
  }

const reportSkipped = (handle: string, notes: readonly Note[]): ImportReport => ({
  ...emptyReport,
  products: { ...emptyReport.products, skipped: many(notes.map((note) => note.row)) },
  skipped: many(notes.map((note) => ({ handle, ...note }))),
})

function report(
  file: FileProduct,
  reading: Reading,
  { outcome, product, variants, missing, ...decided }: Exclude<Decided, { outcome: 'skipped' }>,
  { archiveMissing }: ImportOptions,
): ImportReport {
  const { handle } = file
  const skipped = [...reading.skipped, ...decided.skipped].map((note) => ({ handle, ...note }))
  const created = variants.filter((variant) => variant.isNew).length
  const titled = missing.map(({ id, options }) => ({
    handle,
    variantId: id,
    title: variantTitle(product.options, options),
  }))
  return {
    ...emptyReport,
    products: { ...emptyReport.products, [outcome]: many([file.row]) },
    variants: { created, existing: variants.length - created, skipped: skipped.length },
    images: file.images?.length ?? 0,
    missing: { products: many([]), variants: many(titled), archived: archiveMissing ? missing.length : 0 },
    skipped: many(skipped),
    warnings: many(reading.warnings.map((note) => ({ handle, ...note }))),
    withoutSku: many(file.variants.filter((variant) => variant.sku === null).map((variant) => variant.row)),
    droppedHtml: decided.droppedHtml,
  }
}
