import type { OrderId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Context, Platform } from '#platform/platform.ts'
import type { Config } from '#src/config.ts'
import { type HoldStock, holdStock } from './application/hold-stock.ts'
import { catalogProblems } from './domain/problems.ts'
import {
  commitStock,
  reholdStock,
  releaseStock,
  restockStock,
  shipStock,
  takeStock,
  type Units,
} from './infrastructure/hold-store.ts'
import { makeSellables, readSellables, readVariantsBySku, type Sellables } from './infrastructure/sellables.ts'

export type { HoldStock } from './application/hold-stock.ts'
export type { HoldLine } from './domain/hold.ts'
export type { Sellable, Sellables } from './infrastructure/sellables.ts'
export type VariantsBySku = (sku: string, tx?: Reader) => ReturnType<typeof readVariantsBySku>
export type CommitStock = (work: Work, references: readonly OrderId[]) => Promise<OrderId[]>
export type ReleaseStock = (
  work: Work,
  references: readonly OrderId[],
  reason: 'expired' | 'cancelled',
) => Promise<void>
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
  readonly reholdStock: ReholdStock
  readonly shipStock: ShipStock
  readonly restockStock: RestockStock
  /** How many products are on sale, and the newest of them. */
  readonly firstProduct: () => Promise<{ count: number; handle: string; title: string } | undefined>
}

/** Builds the catalogue: what is sold, at which prices, and how much of it there is. */
export function catalog(platform: Platform, _config: Config): CatalogContext {
  const { sellables } = makeSellables(platform.db)
  return {
    problems: catalogProblems,
    routes: async () => {},
    on: {},
    tasks: {},
    cron: [],
    measures: [],
    sellables,
    variantsBySku: (sku, tx) => readVariantsBySku(tx ?? platform.db, sku),
    holdStock: holdStock({ takeStock, readSellables }),
    commitStock,
    releaseStock,
    reholdStock,
    shipStock,
    restockStock,
    firstProduct: async () => undefined,
  }
}
