import type { Currency } from '#kernel/money.ts'
import type { Product } from './product.ts'

/** What lists search, filter and sort a product by: derived from it and its active variants at each save. */
export type Listing = {
  /** Lower case: title, vendor, category, tags, SKUs. */
  readonly words: string
  /** `Size=M` of every active variant, each once. */
  readonly optionPairs: readonly string[]
  readonly lowestPrices: readonly { readonly currency: Currency; readonly amountMinor: number }[]
}

/** Derives a product's listing. */
export function listingOf(product: Product): Listing {
  const variants = product.variants.filter((variant) => variant.status === 'active')
  const lowest = new Map<Currency, number>()
  for (const { currency, amountMinor } of variants.flatMap((variant) => variant.prices))
    lowest.set(currency, Math.min(amountMinor, lowest.get(currency) ?? amountMinor))
  const skus = new Set(variants.flatMap((variant) => variant.sku ?? []))
  const pairs = variants.flatMap((variant) =>
    Object.entries(variant.options).map(([name, value]) => `${name}=${value}`),
  )
  return {
    words: [product.title, product.vendor, product.category, ...product.tags, ...skus].join(' ').toLowerCase(),
    optionPairs: [...new Set(pairs)],
    lowestPrices: [...lowest].map(([currency, amountMinor]) => ({ currency, amountMinor })),
  }
}
