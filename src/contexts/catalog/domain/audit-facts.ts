import type { Product } from './product.ts'

export type Facts = Readonly<Record<string, unknown>>

/** What the audit log tells of a product: its own values, and each variant's state, SKU and prices by the variant's id. */
export function factsOf(product: Product): Facts {
  const { handle, title, status, vendor, category, tags } = product
  const variants = product.variants.flatMap(({ id, sku, status: state, prices }) => [
    [`${id}.status`, state],
    [`${id}.sku`, sku],
    ...prices.map(({ currency, amountMinor }) => [`${id}.${currency}`, amountMinor]),
  ])
  return {
    handle,
    title,
    status,
    vendor,
    category,
    tags: tags.join(', '),
    images: product.images.length,
    ...Object.fromEntries(variants),
  }
}

/** Only the facts that differ, before and after. */
export function changedFacts(before: Facts, after: Facts): { before: Facts; after: Facts } {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => before[name] !== after[name],
  )
  const pick = (facts: Facts) => Object.fromEntries(names.map((name) => [name, facts[name] ?? null]))
  return { before: pick(before), after: pick(after) }
}
