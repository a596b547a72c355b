import { allocate, multiplyHalfUp, type RateMillionths, taxInGross, taxOnNet } from '#kernel/money.ts'
import { refuse } from './problems.ts'

/** What is bought on one line. `taxIncluded`: the price holds its tax already. */
export type PricedLine = {
  readonly unitPriceMinor: number
  readonly quantity: number
  readonly rate: RateMillionths
  readonly taxIncluded: boolean
}

/** What one line comes to: subtotal − discount = total; `taxMinor` is inside the total or on top of it. */
export type LineAmounts = {
  readonly rate: RateMillionths
  readonly taxIncluded: boolean
  readonly subtotalMinor: number
  readonly discountMinor: number
  readonly totalMinor: number
  readonly taxMinor: number
}

/** What an order comes to; `taxMinor` = Σ of the lines' taxes + the shipping's, exactly. */
export type Totals = {
  readonly lines: readonly LineAmounts[]
  readonly subtotalMinor: number
  readonly discountMinor: number
  readonly shippingMinor: number
  readonly shippingTaxMinor: number
  readonly taxMinor: number
  readonly totalMinor: number
}

/** What sending costs. `rate` null: the highest rate in the cart. */
export type ShippingCost = {
  readonly priceMinor: number
  readonly taxIncluded: boolean
  readonly rate: RateMillionths | null
}

/**
 * Adds up: each line takes its share of the discount (largest remainder), then its tax, rounded half-up.
 * total = subtotal − discount + shipping + the taxes that prices do not include.
 * Refuses orders.amount-too-large beyond what a number holds exactly.
 */
export function totalsOf(lines: readonly PricedLine[], shipping: ShippingCost, discountMinor = 0): Totals {
  const subtotals = lines.map((line) => exact(line.unitPriceMinor * line.quantity))
  const subtotalMinor = sum(subtotals)
  const discount = Math.min(discountMinor, subtotalMinor)
  const shares = allocate(discount, subtotals)
  const amounts = lines.map(({ rate, taxIncluded }, index) => {
    const lineSubtotal = subtotals[index] as number
    const share = shares[index] as number
    const totalMinor = lineSubtotal - share
    const taxMinor = taxOf(totalMinor, rate, taxIncluded)
    return { rate, taxIncluded, subtotalMinor: lineSubtotal, discountMinor: share, totalMinor, taxMinor }
  })
  const shippingRate = shipping.rate ?? Math.max(0, ...lines.map((line) => line.rate))
  const shippingTaxMinor = taxOf(shipping.priceMinor, shippingRate, shipping.taxIncluded)
  const onTop = [
    ...amounts.filter((line) => !line.taxIncluded).map((line) => line.taxMinor),
    shipping.taxIncluded ? 0 : shippingTaxMinor,
  ]
  return {
    lines: amounts,
    subtotalMinor,
    discountMinor: discount,
    shippingMinor: shipping.priceMinor,
    shippingTaxMinor,
    taxMinor: sum([...amounts.map((line) => line.taxMinor), shippingTaxMinor]),
    totalMinor: sum([subtotalMinor - discount, shipping.priceMinor, ...onTop]),
  }
}

/** What a buyer paid for a whole line, its tax included either way. */
export const grossOf = (line: LineAmounts): number => line.totalMinor + (line.taxIncluded ? 0 : line.taxMinor)

/**
 * What `units` of a line are worth when `before` of its units were given back already: amount (tax included) and tax in
 * it. It is the difference of two cumulative shares, so that any sequence of refunds sums to the line exactly.
 */
export function refundForUnits(
  line: LineAmounts & { readonly quantity: number },
  before: number,
  units: number,
): { amountMinor: number; taxMinor: number } {
  const between = (whole: number) => shareOf(whole, before + units, line) - shareOf(whole, before, line)
  return { amountMinor: between(grossOf(line)), taxMinor: between(line.taxMinor) }
}

const shareOf = (wholeMinor: number, units: number, { quantity }: { readonly quantity: number }): number =>
  multiplyHalfUp(wholeMinor, BigInt(units), BigInt(quantity))

const taxOf = (amountMinor: number, rate: RateMillionths, taxIncluded: boolean): number =>
  taxIncluded ? taxInGross(amountMinor, rate) : exact(taxOnNet(amountMinor, rate))

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => exact(total + amount), 0)

function exact(amountMinor: number): number {
  if (!Number.isSafeInteger(amountMinor)) throw refuse('orders.amount-too-large')
  return amountMinor
}
