import slugify from '@sindresorhus/slugify'
import { htmlToText, sanitiseHtml } from '#platform/security/html.ts'
import type { NewProduct, NewVariant } from '../application/create-product.ts'
import type { VariantChanges } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import type { Description, Price, ProductDraft } from '../domain/product.ts'
import type { NewProductInput, NewVariantInput, ProductChangesInput, VariantChangesInput } from './schemas.ts'

/** A description as given, made safe to show, and as text: done once, when it is written. */
export const describe = (given: string): Description => ({
  given,
  html: sanitiseHtml(given).html,
  text: htmlToText(given),
})

/** What a new product is to be, with everything left out at its default. Refuses catalog.invalid-handle. */
export const newProductOf = (given: NewProductInput): NewProduct => ({
  handle: given.handle ?? handleOf(given.title),
  title: given.title,
  description: describe(given.descriptionHtml ?? ''),
  vendor: given.vendor ?? '',
  category: given.category ?? '',
  tags: given.tags ?? [],
  status: given.status ?? 'draft',
  options: given.options ?? [],
  metadata: given.metadata ?? {},
  variants: given.variants.map(newVariantOf),
  images: (given.images ?? []).map(({ url, alt = '' }) => ({ url, alt })),
})

function handleOf(title: string): string {
  const handle = slugify(title)
  if (handle === '')
    throw refuse('catalog.invalid-handle', undefined, {
      errors: [{ pointer: '/handle', detail: 'is needed for this title' }],
    })
  return handle
}

export const newVariantOf = (given: NewVariantInput): NewVariant => ({
  sku: given.sku ?? null,
  options: given.options ?? {},
  prices: (given.prices ?? []).map(priceOf),
  barcode: given.barcode ?? null,
  weightGrams: given.weightGrams ?? null,
  taxable: given.taxable ?? true,
  requiresShipping: given.requiresShipping ?? true,
  metadata: given.metadata ?? {},
  tracked: given.tracked ?? true,
  backOrder: given.backOrder ?? false,
  onHand: given.onHand ?? 0,
})

const priceOf = (given: Omit<Price, 'compareAtMinor'> & { compareAtMinor?: number | null }): Price => ({
  ...given,
  compareAtMinor: given.compareAtMinor ?? null,
})

export function productChangesOf({ descriptionHtml, ...given }: ProductChangesInput): Partial<ProductDraft> {
  return descriptionHtml === undefined ? given : { ...given, description: describe(descriptionHtml) }
}

export function variantChangesOf({ prices, ...given }: VariantChangesInput): VariantChanges {
  return prices === undefined ? given : { ...given, prices: prices.map(priceOf) }
}
