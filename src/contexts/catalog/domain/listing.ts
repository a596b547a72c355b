import type { Currency } from '#kernel/money.ts'
import type { Product } from './product.ts'

/** What lists search, filter and sort a product by: derived from it and its active variants at each save. */
export type Listing = {
  /** Lower case: title, vendor, category, tags, SKUs. */
  readonly words: string
  /** `Size=M` of every active variant, each once. */
  readonly optionPairs: readonly string[]
  readonly priceRanges: readonly { readonly currency: Currency; readonly minMinor: number; readonly maxMinor: number }[]
}

/** Derives a product's listing. */
export function listingOf(product: Product): Listing {
  const variants = product.variants.filter((variant) => variant.status === 'active')
  const ranges = new Map<Currency, { minMinor: number; maxMinor: number }>()
  for (const { currency, amountMinor } of variants.flatMap((variant) => variant.prices)) {
    const { minMinor, maxMinor } = ranges.get(currency) ?? { minMinor: amountMinor, maxMinor: amountMinor }
    ranges.set(currency, { minMinor: Math.min(minMinor, amountMinor), maxMinor: Math.max(maxMinor, amountMinor) })
  }
  const skus = new Set(variants.flatMap((variant) => variant.sku ?? []))
  const pairs = variants.flatMap((variant) =>
    Object.entries(variant.options).map(([name, value]) => `${name}=${value}`),
  )
  return {
    words: [product.title, product.vendor, product.category, ...product.tags, ...skus].join(' ').toLowerCase(),
    optionPairs: [...new Set(pairs)],
    priceRanges: [...ranges].map(([currency, range]) => ({ currency, ...range })),
  }
}
