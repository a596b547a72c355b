import type { ImportId, ProductId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { ImportOptions } from '../domain/decide-product.ts'
import { addReports, emptyReport, type ImportReport, many } from '../domain/import-report.ts'
import { archiveProduct, type Product } from '../domain/product.ts'

/** `id` is null in a dry run. */
export type ImportEnd = {
  readonly id: ImportId | null
  readonly fileName: string
  readonly options: ImportOptions
  readonly handles: ReadonlySet<string>
}

export type FinishNeeds = {
  /** The products, archived ones aside, that were last imported from a file of this name. */
  readonly readProductsOfFile: (work: Work, fileName: string) => Promise<{ id: ProductId; handle: string }[]>
  readonly lockProducts: (work: Work, which: { readonly ids: readonly ProductId[] }) => Promise<Product[]>
  readonly saveProducts: (work: Work, products: readonly Product[]) => Promise<void>
  readonly endImport: (work: Work, id: ImportId, report: ImportReport) => Promise<void>
}

export type FinishImport = (work: Work, end: ImportEnd, soFar: ImportReport) => Promise<ImportReport>

const BATCH = 500

/** Ends an import: tells which products the file no longer has, and archives them when asked to. */
export const finishImport =
  (needs: FinishNeeds): FinishImport =>
  async (work, { id, fileName, options, handles }, soFar) => {
    const missing = (await needs.readProductsOfFile(work, fileName)).filter(({ handle }) => !handles.has(handle))
    const archived = options.archiveMissing ? missing.map((product) => product.id) : []
    for (let at = 0; at < archived.length; at += BATCH) {
      const ids = archived.slice(at, at + BATCH)
      const decided = (await needs.lockProducts(work, { ids })).map((product) => archiveProduct(product, work.now))
      await needs.saveProducts(
        work,
        decided.map(({ state }) => state),
      )
      work.emit(...decided.flatMap(({ events }) => events))
    }
    const told = { products: many(missing.map(({ handle }) => handle)), variants: many([]), archived: archived.length }
    const report = addReports(soFar, { ...emptyReport, missing: told })
    if (id) await needs.endImport(work, id, report)
    return report
  }
