import type { Decision, DomainEvent } from '#kernel/event.ts'
import type { ImageId, ProductId, VariantId } from '#kernel/ids.ts'
import { type Currency, isCurrency } from '#kernel/money.ts'
import { refuse } from './problems.ts'

export type ProductStatus = 'draft' | 'active' | 'archived'

/** The description in its three forms: as the shop wrote it, safe to show, and as plain text. */
export type Description = { readonly given: string; readonly html: string; readonly text: string }

/** A price in one currency; compare-at is the former, higher price. */
export type Price = {
  readonly currency: Currency
  readonly amountMinor: number
  readonly compareAtMinor: number | null
}

export type Image = { readonly id: ImageId; readonly url: string; readonly alt: string }

export type Variant = {
  readonly id: VariantId
  readonly sku: string | null
  /** By option name; its values in the order of the product's options are the variant's identity in its product. */
  readonly options: Readonly<Record<string, string>>
  readonly barcode: string | null
  readonly weightGrams: number | null
  readonly taxable: boolean
  readonly requiresShipping: boolean
  readonly imageId: ImageId | null
  readonly prices: readonly Price[]
  readonly attributes: Readonly<Record<string, string>>
  readonly metadata: Readonly<Record<string, string>>
  readonly status: 'active' | 'archived'
}

/** A product with its variants and images, in order: one thing with one version. */
export type Product = {
  readonly id: ProductId
  readonly handle: string
  readonly title: string
  readonly description: Description
  readonly vendor: string
  readonly category: string
  readonly tags: readonly string[]
  readonly status: ProductStatus
  /** Names, in order; none when the product comes in one form only. */
  readonly options: readonly string[]
  readonly variants: readonly Variant[]
  readonly images: readonly Image[]
  readonly attributes: Readonly<Record<string, string>>
  readonly metadata: Readonly<Record<string, string>>
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When it first became active. */
  readonly publishedAt: Date | null
}

export type ProductDraft = Omit<Product, 'version' | 'createdAt' | 'updatedAt' | 'publishedAt'>

/** Makes a product of version 1. Refuses what {@link checkProduct} refuses. */
export function createProduct(draft: ProductDraft, now: Date): Decision<Product> {
  const publishedAt = draft.status === 'active' ? now : null
  const product = checkProduct({ ...draft, version: 1, createdAt: now, updatedAt: now, publishedAt })
  return { state: product, events: [told('created', product)] }
}

/** Changes some of a product, to any status: the next version. Refuses what {@link checkProduct} refuses. */
export function changeProduct(product: Product, changes: Partial<ProductDraft>, now: Date): Decision<Product> {
  const to = changes.status ?? product.status
  const publishedAt = product.publishedAt ?? (to === 'active' ? now : null)
  const changed = checkProduct({
    ...product,
    ...changes,
    version: product.version + 1,
    updatedAt: now,
    publishedAt,
  })
  const archived = to === 'archived' && product.status !== 'archived'
  return { state: changed, events: [told(archived ? 'archived' : 'changed', changed)] }
}

/** Takes a product out of sale for good; archiving it again is no change. */
export const archiveProduct = (product: Product, now: Date): Decision<Product> =>
  product.status === 'archived' ? { state: product, events: [] } : changeProduct(product, { status: 'archived' }, now)

/** Adds a variant at the end. Refuses catalog.variant-exists, catalog.options-mismatch, catalog.invalid-price. */
export const addVariant = (product: Product, variant: Variant, now: Date): Decision<Product> =>
  changeProduct(product, { variants: [...product.variants, variant] }, now)

/** Changes some of a variant. Refuses catalog.variant-not-found and what {@link addVariant} refuses. */
export function changeVariant(
  product: Product,
  id: VariantId,
  changes: Partial<Variant>,
  now: Date,
): Decision<Product> {
  if (!product.variants.some((variant) => variant.id === id)) throw refuse('catalog.variant-not-found')
  const variants = product.variants.map((variant) => (variant.id === id ? { ...variant, ...changes } : variant))
  return changeProduct(product, { variants }, now)
}

/** Adds an image at the end. Refuses catalog.image-exists. */
export const addImage = (product: Product, image: Image, now: Date): Decision<Product> =>
  changeProduct(product, { images: [...product.images, image] }, now)

/** Takes an image away, also from the variants that show it. Refuses catalog.image-not-found. */
export function removeImage(product: Product, id: ImageId, now: Date): Decision<Product> {
  if (!product.images.some((image) => image.id === id)) throw refuse('catalog.image-not-found')
  const images = product.images.filter((image) => image.id !== id)
  const variants = product.variants.map((variant) => (variant.imageId === id ? { ...variant, imageId: null } : variant))
  return changeProduct(product, { images, variants }, now)
}

/** The identity of a variant in its product: its option values in the order of the product's options. */
export const optionKey = (options: readonly string[], values: Readonly<Record<string, string>>): string =>
  JSON.stringify(options.map((name) => values[name] ?? null))

/** What a variant is called beside its product: `M / Red`; null where the product has no options. */
export const variantTitle = (options: readonly string[], values: Readonly<Record<string, string>>): string | null =>
  options.length === 0 ? null : options.map((name) => values[name]).join(' / ')

/**
 * Checks what holds for every product: option values fit the options and no two variants share them, one price per known
 * currency, images once, and variants show images of their own product.
 */
export function checkProduct(product: Product): Product {
  const keys = new Map<string, VariantId>()
  for (const [index, variant] of product.variants.entries()) {
    checkOptions(product.options, variant, `/variants/${index}/options`)
    checkPrices(variant.prices, `/variants/${index}/prices`)
    const key = optionKey(product.options, variant.options)
    const twin = keys.get(key)
    if (twin) throw refuse('catalog.variant-exists', undefined, { variantId: twin })
    keys.set(key, variant.id)
    if (variant.imageId && !product.images.some((image) => image.id === variant.imageId))
      throw refuse('catalog.image-not-found')
  }
  if (new Set(product.images.map((image) => image.url)).size < product.images.length)
    throw refuse('catalog.image-exists')
  return product
}

function checkOptions(options: readonly string[], variant: Variant, pointer: string): void {
  const given = Object.keys(variant.options)
  if (
    new Set(options).size === options.length &&
    given.length === options.length &&
    options.every((name) => Object.hasOwn(variant.options, name))
  )
    return
  const wanted = options.length === 0 ? 'no options' : `one value each for ${options.join(', ')}`
  throw refuse('catalog.options-mismatch', undefined, { errors: [{ pointer, detail: `takes ${wanted}` }] })
}

function checkPrices(prices: readonly Price[], pointer: string): void {
  const currencies = new Set(prices.map((price) => price.currency))
  const wrong = prices.findIndex(
    ({ currency, amountMinor, compareAtMinor }) =>
      !isCurrency(currency) || (compareAtMinor !== null && compareAtMinor <= amountMinor),
  )
  if (wrong < 0 && currencies.size === prices.length) return
  const errors = [{ pointer: wrong < 0 ? pointer : `${pointer}/${wrong}`, detail: 'is not a price that fits' }]
  throw refuse('catalog.invalid-price', undefined, { errors })
}

const told = (fact: 'created' | 'changed' | 'archived', product: Product): DomainEvent => ({
  type: `catalog.product-${fact}.v1`,
  subject: product.id,
  data: { productId: product.id, version: product.version },
})
