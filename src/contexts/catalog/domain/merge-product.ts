import type { DomainEvent } from '#kernel/event.ts'
import type { ImageId, ProductId, VariantId } from '#kernel/ids.ts'
import { Refusal } from '#kernel/refusal.ts'
import { type FileProduct, type FileVariant, type Note, optionKeyOf } from './file-product.ts'
import {
  changeProduct,
  createProduct,
  type Description,
  type Image,
  type Price,
  type Product,
  type Variant,
} from './product.ts'

export type MergeContext = {
  readonly newProductId: () => ProductId
  readonly newVariantId: () => VariantId
  readonly newImageId: () => ImageId
  readonly describe: (given: string) => Description
  readonly archiveMissing: boolean
  readonly now: Date
}

/** A product as a file wants it. `variants` pairs what the file says with the variant it became. */
export type Merged = {
  readonly product: Product
  readonly events: readonly DomainEvent[]
  readonly variants: readonly { readonly id: VariantId; readonly isNew: boolean; readonly file: FileVariant }[]
  readonly missing: readonly Variant[]
  readonly skipped: readonly Note[]
}

/**
 * Makes a product of what a file says, or changes the one there is: columns that the file has win, all else is kept, and
 * variants that the file does not have stay. Where the catalogue refuses the outcome, a note says why.
 */
export function mergeProduct(existing: Product | undefined, file: FileProduct, context: MergeContext): Merged | Note {
  if (!existing && file.title === undefined)
    return { code: 'no-title', row: file.row, detail: 'is new and has no title' }
  const options = file.optionNames ?? existing?.options ?? []
  if (existing && options.length === 0 && existing.options.length > 0)
    return {
      code: 'bad-cell',
      row: file.row,
      detail: `has no options, and in the catalogue ${existing.options.join(', ')}`,
    }
  const images = mergeImages(existing, file, context)
  const { variants, pairs, missing, skipped } = mergeVariants(existing, file, options, images, context)
  const given = file.description
  const fields = {
    handle: file.handle,
    title: file.title ?? existing?.title ?? '',
    description:
      existing && (given === undefined || given === existing.description.given)
        ? existing.description
        : context.describe(given ?? ''),
    vendor: file.vendor ?? existing?.vendor ?? '',
    category: file.category ?? existing?.category ?? '',
    tags: file.tags ?? existing?.tags ?? [],
    status: file.status ?? existing?.status ?? ('active' as const),
    options,
    variants,
    images,
    attributes: mergeAttributes(existing?.attributes, file.attributes),
  }
  try {
    const { state: product, events } = existing
      ? changeProduct(existing, fields, context.now)
      : createProduct({ ...fields, id: context.newProductId(), metadata: {} }, context.now)
    return { product, events, variants: pairs, missing, skipped }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { code: 'bad-cell', row: file.row, detail: error.message }
  }
}

/** The images in the file's order, with those of its variants; an image keeps its id as long as its URL. */
function mergeImages(existing: Product | undefined, file: FileProduct, context: MergeContext): Image[] {
  const known = new Map(existing?.images.map((image) => [image.url, image]))
  const wanted = new Map((file.images ?? existing?.images ?? []).map(({ url, alt }) => [url, alt]))
  for (const { imageUrl } of file.variants) if (imageUrl && !wanted.has(imageUrl)) wanted.set(imageUrl, '')
  return [...wanted].map(([url, alt]) => ({ id: known.get(url)?.id ?? context.newImageId(), url, alt }))
}

function mergeVariants(
  existing: Product | undefined,
  file: FileProduct,
  options: readonly string[],
  images: readonly Image[],
  context: MergeContext,
) {
  const old = new Map(
    (existing?.variants ?? []).map((variant) => {
      const values = fitValues(existing?.options.map((name) => variant.options[name] ?? '') ?? [], options.length)
      return [optionKeyOf(values), { ...variant, options: named(options, values) }]
    }),
  )
  const skipped: Note[] = []
  const pairs: { id: VariantId; isNew: boolean; file: FileVariant }[] = []
  const variants: Variant[] = []
  for (const given of file.variants) {
    const before = old.get(optionKeyOf(given.optionValues))
    if (given.optionValues.length !== options.length)
      skipped.push({
        code: 'bad-cell',
        row: given.row,
        detail: `takes values for ${options.join(', ')}, and the file has no such columns`,
      })
    else if (!before && given.prices.length === 0)
      skipped.push({ code: 'no-price', row: given.row, detail: 'is new and has no price' })
    else {
      const variant = mergeVariant(before ?? newVariant(options, given, context), given, images)
      variants.push(variant)
      pairs.push({ id: variant.id, isNew: !before, file: given })
    }
  }
  const inFile = new Set(file.inFile.map(optionKeyOf))
  const listed = file.inFile.length > 0 && file.optionNames !== undefined
  const rest = [...old].filter(([, variant]) => !pairs.some((pair) => pair.id === variant.id))
  const isMissing = ([key, variant]: [string, Variant]) => listed && !inFile.has(key) && variant.status === 'active'
  const missing = rest.filter(isMissing).map(([, variant]) => variant)
  const imageIds = new Set(images.map((image) => image.id))
  const kept = rest.map(([, variant]) => ({
    ...variant,
    imageId: variant.imageId && imageIds.has(variant.imageId) ? variant.imageId : null,
    status: context.archiveMissing && missing.includes(variant) ? ('archived' as const) : variant.status,
  }))
  return { variants: [...variants, ...kept], pairs, missing, skipped }
}

/** The values of a variant from before its product had this number of options: filled up with `-`, or the last ones joined. */
const fitValues = (values: readonly string[], length: number): string[] =>
  values.length <= length
    ? [...values, ...Array.from({ length: length - values.length }, () => '-')]
    : [...values.slice(0, length - 1), values.slice(length - 1).join(' / ')]

const named = (options: readonly string[], values: readonly string[]) =>
  Object.fromEntries(options.map((name, index) => [name, values[index] ?? '']))

const newVariant = (options: readonly string[], given: FileVariant, context: MergeContext): Variant => ({
  id: context.newVariantId(),
  sku: null,
  options: named(options, given.optionValues),
  barcode: null,
  weightGrams: null,
  taxable: true,
  requiresShipping: true,
  imageId: null,
  prices: [],
  attributes: {},
  metadata: {},
  status: 'active',
})

function mergeVariant(before: Variant, given: FileVariant, images: readonly Image[]): Variant {
  const imageOf = (url: string | null) => images.find((image) => image.url === url)?.id ?? null
  const keptImage = images.some((image) => image.id === before.imageId) ? before.imageId : null
  return {
    ...before,
    sku: given.sku === undefined ? before.sku : given.sku,
    barcode: given.barcode === undefined ? before.barcode : given.barcode,
    weightGrams: given.weightGrams === undefined ? before.weightGrams : given.weightGrams,
    taxable: given.taxable ?? before.taxable,
    requiresShipping: given.requiresShipping ?? before.requiresShipping,
    imageId: given.imageUrl === undefined ? keptImage : imageOf(given.imageUrl),
    prices: mergePrices(before.prices, given),
    attributes: mergeAttributes(before.attributes, given.attributes),
    status: 'active',
  }
}

function mergePrices(before: readonly Price[], given: FileVariant): Price[] {
  const prices = new Map(before.map((price) => [price.currency, price]))
  for (const { currency, amountMinor, compareAtMinor } of given.prices) {
    const former = compareAtMinor === undefined ? (prices.get(currency)?.compareAtMinor ?? null) : compareAtMinor
    prices.set(currency, {
      currency,
      amountMinor,
      compareAtMinor: former !== null && former > amountMinor ? former : null,
    })
  }
  return [...prices.values()]
}

/** Blank clears an attribute; what the file does not name is kept. */
const mergeAttributes = (before: Readonly<Record<string, string>> = {}, given: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries({ ...before, ...given }).filter(([, value]) => value !== ''))
