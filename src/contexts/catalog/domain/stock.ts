import type { VariantId } from '#kernel/ids.ts'
import { refuse } from './problems.ts'

/** The one location there is for now; it is part of every key. */
export const MAIN_LOCATION = 'main'

const MOST_ON_HAND = 1_000_000_000

/** How much of a variant is at a location: physically there, ordered and not paid, paid and not shipped. */
export type Stock = {
  readonly variantId: VariantId
  readonly location: string
  readonly onHand: number
  readonly held: number
  readonly committed: number
  readonly tracked: boolean
  readonly backOrder: boolean
  /** Units sold that a later count found missing. */
  readonly shortage: number
}

/** A change by this many, or a count together with what was expected to be there; in both a reason in words. */
export type Adjustment = ({ readonly change: number } | { readonly count: number; readonly expected: number }) & {
  readonly allowShortage?: boolean | undefined
}

/** What can still be sold: null without limit. */
export const availableOf = (stock: Omit<Stock, 'variantId' | 'location' | 'shortage'>): number | null =>
  stock.tracked && !stock.backOrder ? Math.max(0, stock.onHand - stock.held - stock.committed) : null

/**
 * Corrects what is on hand. Refuses catalog.stock-moved when a count was taken of other stock than there is now,
 * catalog.stock-below-zero, and, unless a shortage is allowed, catalog.stock-is-sold.
 */
export function adjustStock(stock: Stock, adjustment: Adjustment): Stock {
  if ('expected' in adjustment && adjustment.expected !== stock.onHand)
    throw refuse('catalog.stock-moved', undefined, { expected: adjustment.expected, onHand: stock.onHand })
  const onHand = 'count' in adjustment ? adjustment.count : stock.onHand + adjustment.change
  if (onHand < 0 || onHand > MOST_ON_HAND) throw refuse('catalog.stock-below-zero', undefined, { onHand: stock.onHand })
  const shortage = shortageOf({ ...stock, onHand })
  if (shortage > stock.shortage && !adjustment.allowShortage)
    throw refuse('catalog.stock-is-sold', undefined, {
      onHand: stock.onHand,
      held: stock.held,
      committed: stock.committed,
    })
  return { ...stock, onHand, shortage }
}

/** Whether the stock is counted, and whether more may be sold than there is; what is sold beyond it becomes a shortage. */
export const changeStockRule = (
  stock: Stock,
  rule: { readonly tracked: boolean; readonly backOrder: boolean },
): Stock => ({
  ...stock,
  ...rule,
  shortage: shortageOf({ ...stock, ...rule }),
})

const shortageOf = ({ tracked, backOrder, onHand, held, committed }: Stock): number =>
  tracked && !backOrder ? Math.max(0, held + committed - onHand) : 0
