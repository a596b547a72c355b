import type { OrderId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import { newId } from '#platform/ids.ts'
import type { Context, Platform } from '#platform/platform.ts'
import type { Config } from '#src/config.ts'
import type { HoldStock } from './application/hold-stock.ts'
import type { ImportProducts } from './application/import-products.ts'
import { catalogUseCases } from './application/use-cases.ts'
import { catalogProblems } from './domain/problems.ts'
import { type ExportProducts, makeExport } from './infrastructure/export-csv.ts'
import {
  commitStock,
  reholdStock,
  releaseStock,
  restockStock,
  shipStock,
  takeStock,
  type Units,
  writeOffStock,
} from './infrastructure/hold-store.ts'
import { importRoutes } from './infrastructure/import-http.ts'
import { importReactions, importTasks } from './infrastructure/import-jobs.ts'
import { makeImports } from './infrastructure/imports.ts'
import { productRoutes } from './infrastructure/product-http.ts'
import { lockProduct, saveProducts } from './infrastructure/product-store.ts'
import { readFirstProduct } from './infrastructure/product-views.ts'
import { makeSellables, readSellables, readVariantsBySku, type Sellables } from './infrastructure/sellables.ts'
import { makeShelf } from './infrastructure/shelf.ts'
import { stockRoutes } from './infrastructure/stock-http.ts'
import { lockOneStock, openStock, saveStock } from './infrastructure/stock-store.ts'
import { storefrontRoutes } from './infrastructure/storefront-http.ts'

export type { HoldStock } from './application/hold-stock.ts'
export type { ImportOutcome, ImportProducts } from './application/import-products.ts'
export type { ImportOptions } from './domain/decide-product.ts'
export type { HoldLine } from './domain/hold.ts'
export { changedNothing, type ImportReport } from './domain/import-report.ts'
export type { Sellable, Sellables } from './infrastructure/sellables.ts'
export type VariantsBySku = (sku: string, tx?: Reader) => ReturnType<typeof readVariantsBySku>
export type CommitStock = (work: Work, references: readonly OrderId[]) => Promise<OrderId[]>
export type ReleaseStock = (
  work: Work,
  references: readonly OrderId[],
  reason: 'expired' | 'cancelled',
) => Promise<void>
export type WriteOffStock = (work: Work, reference: OrderId) => Promise<void>
export type ReholdStock = (work: Work, reference: OrderId) => Promise<boolean>
export type ShipStock = (work: Work, reference: OrderId, lines: readonly Units[]) => Promise<void>
export type RestockStock = (
  work: Work,
  reference: OrderId,
  lines: readonly Units[],
  from: 'committed' | 'returned',
) => Promise<void>

export type CatalogContext = Context & {
  readonly sellables: Sellables
  readonly variantsBySku: VariantsBySku
  readonly holdStock: HoldStock
  readonly commitStock: CommitStock
  readonly releaseStock: ReleaseStock
  readonly writeOffStock: WriteOffStock
  readonly reholdStock: ReholdStock
  readonly shipStock: ShipStock
  readonly restockStock: RestockStock
  readonly importProducts: ImportProducts
  readonly exportProducts: ExportProducts
  /** How many products are on sale, and the newest of them. */
  readonly firstProduct: () => Promise<{ count: number; handle: string; title: string } | undefined>
}

/** Builds the catalogue: what is sold, at which prices, and how much of it there is. */
export function catalog(platform: Platform, config: Config): CatalogContext {
  const { db } = platform
  const currency = config.currencies[0] as Currency
  const shelf = makeShelf(db)
  const { sellables, forget } = makeSellables(db)
  const changed = () => {
    shelf.forget()
    forget()
  }
  const runImport = makeImports(platform.perform)
  const importProducts: ImportProducts = (command, request) => runImport(command, request).finally(changed)
  const exportProducts = makeExport(db)
  const use = catalogUseCases({
    ...{ newProductId: () => newId('prod'), newVariantId: () => newId('var'), newImageId: () => newId('img') },
    ...{ lockProduct, saveProducts, openStock, lockOneStock, saveStock, takeStock, readSellables },
  })
  return {
    problems: catalogProblems,
    routes: async (app) => {
      await app.register(storefrontRoutes(db, shelf, currency))
      await app.register(productRoutes(platform, use, currency, changed))
      await app.register(stockRoutes(platform, use, changed))
      await app.register(importRoutes({ platform, exportProducts, currency, limitBytes: config.importLimitBytes }))
    },
    on: importReactions,
    tasks: importTasks(db, importProducts),
    cron: [],
    measures: [],
    sellables,
    variantsBySku: (sku) => readVariantsBySku(db, sku),
    holdStock: use.holdStock,
    commitStock,
    releaseStock,
    writeOffStock,
    reholdStock,
    shipStock,
    restockStock,
    importProducts,
    exportProducts,
    firstProduct: () => readFirstProduct(db),
  }
}
