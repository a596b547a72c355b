import type { OrderId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import { type Hold, type Offer, totalsOf, whyNotHeld } from '../domain/hold.ts'

export type HoldStockNeeds = {
  /** Holds what can be held, in one statement, and tells which variants those are. */
  takeStock(work: Work, hold: Hold): Promise<VariantId[]>
  readSellables(reader: Reader, ids: readonly VariantId[], currency: Currency): Promise<Map<VariantId, Offer>>
}

/** Holds the stock of an order at the prices seen, or throws and leaves it to the rollback. */
export type HoldStock = (work: Work, hold: Hold & { readonly reference: OrderId }) => Promise<void>

/**
 * Holds all lines or refuses: catalog.out-of-stock naming every short line, catalog.price-moved, catalog.not-for-sale.
 * One statement when it can; only a refusal takes a second, to tell why.
 */
export const holdStock =
  (needs: HoldStockNeeds): HoldStock =>
  async (work, hold) => {
    const lines = totalsOf(hold.lines)
    const taken = new Set(await needs.takeStock(work, { ...hold, lines }))
    if (taken.size === lines.length) return
    const missing = lines.filter((line) => !taken.has(line.variantId))
    const ids = missing.map((line) => line.variantId)
    throw whyNotHeld(missing, await needs.readSellables(work.tx, ids, hold.currency))
  }
