import type { OrderId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Refusal } from '#kernel/refusal.ts'
import { refuse } from './problems.ts'

/** A line of an order to be: so many of a variant, at the price that the shopper saw. */
export type HoldLine = {
  readonly variantId: VariantId
  readonly quantity: number
  readonly unitPriceMinor: number
  /** Where the line stands in the request, for what is refused. */
  readonly pointer: string
}

export type Hold = { readonly reference: OrderId; readonly currency: Currency; readonly lines: readonly HoldLine[] }

/** What is offered of a variant now; `available` is null without limit. */
export type Offer = {
  readonly onSale: boolean
  readonly unitPriceMinor: number | null
  readonly available: number | null
}

/** The lines by variant: the same variant on two lines is held once, in sum. */
export function totalsOf(lines: readonly HoldLine[]): HoldLine[] {
  const totals = new Map<VariantId, HoldLine>()
  for (const line of lines) {
    const twin = totals.get(line.variantId)
    if (twin && twin.unitPriceMinor !== line.unitPriceMinor) throw refuse('catalog.price-moved')
    totals.set(line.variantId, twin ? { ...twin, quantity: twin.quantity + line.quantity } : line)
  }
  return [...totals.values()]
}

/**
 * Why these lines could not be held: catalog.not-for-sale before catalog.price-moved before catalog.out-of-stock, each
 * naming all lines that it is true of.
 */
export function whyNotHeld(lines: readonly HoldLine[], offers: ReadonlyMap<VariantId, Offer>): Refusal {
  const gone = lines.filter((line) => !offers.get(line.variantId)?.onSale)
  if (gone.length > 0) return refuse('catalog.not-for-sale', undefined, { errors: gone.map(told('is not for sale')) })
  const moved = lines.filter((line) => offers.get(line.variantId)?.unitPriceMinor !== line.unitPriceMinor)
  if (moved.length > 0)
    return refuse('catalog.price-moved', undefined, { errors: moved.map(told('has another price now')) })
  const errors = lines.map((line) => {
    const available = offers.get(line.variantId)?.available ?? 0
    return { ...told(`only ${available} of ${line.quantity} left`)(line), wanted: line.quantity, available }
  })
  return refuse('catalog.out-of-stock', undefined, { errors })
}

const told = (detail: string) => (line: HoldLine) => ({ pointer: line.pointer, detail, variantId: line.variantId })
