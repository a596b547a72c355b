import type { VariantId } from '#kernel/ids.ts'
import { type Currency, toDecimal } from '#kernel/money.ts'
import type { Product, Variant } from './product.ts'
import { writeText } from './shopify-cells.ts'
import { type Field, nameOf, OPTION_NAMES, OPTION_VALUES } from './shopify-columns.ts'
import { compareAtName } from './shopify-variants.ts'
import type { Stock } from './stock.ts'

/** What the columns of an export depend on: the shop's currency, the others that have prices, and the attributes there are. */
export type ExportShape = {
  readonly currency: Currency
  readonly otherCurrencies: readonly Currency[]
  readonly attributes: readonly string[]
  /** The most options that a product has. */
  readonly options: number
}

type Cells = Partial<Record<Field, string>> & { other?: Readonly<Record<string, string>> }

const OPTIONS_OF_SHOPIFY = 3

const fieldsOf = ({ options }: ExportShape): Field[] => [
  ...([
    'title',
    'handle',
    'description',
    'vendor',
    'category',
    'tags',
    'published',
    'status',
    'sku',
    'barcode',
  ] as const),
  ...OPTION_NAMES.slice(0, Math.max(options, OPTIONS_OF_SHOPIFY)).flatMap((name, index) => [
    name,
    OPTION_VALUES[index]!,
  ]),
  ...(['price', 'compareAt', 'taxable', 'tracker', 'quantity', 'policy', 'grams', 'requiresShipping'] as const),
  ...(['imageUrl', 'imagePosition', 'imageAlt', 'variantImageUrl', 'giftCard'] as const),
]

const otherPrices = ({ otherCurrencies }: ExportShape) =>
  otherCurrencies.flatMap((currency) => [`Price / ${currency}`, `Compare-at price / ${currency}`])

/** The attributes that have a column of their own: one for names that differ in case only, none for unused compare-at prices. */
function attributeColumns({ attributes, currency, otherCurrencies }: ExportShape): string[] {
  const taken = new Set([currency, ...otherCurrencies].map((one) => compareAtName(one, currency).toLowerCase()))
  return attributes.filter((name) => !taken.has(name.toLowerCase()) && taken.add(name.toLowerCase()))
}

/** The header row: Shopify's names of today, further currencies, attributes. */
export const exportHeader = (shape: ExportShape): string[] => [
  ...fieldsOf(shape).map(nameOf),
  ...otherPrices(shape),
  ...attributeColumns(shape),
]

/**
 * A product as the rows of a file: its own columns and its first variant on the first row, then a row for each further
 * active variant, the images beside them one a row. Text is protected from spreadsheets; an import takes that off again.
 */
export function exportRows(product: Product, stock: ReadonlyMap<VariantId, Stock>, shape: ExportShape): string[][] {
  const variants = product.variants.filter((variant) => variant.status === 'active')
  const length = Math.max(1, variants.length, product.images.length)
  const columns = [...otherPrices(shape), ...attributeColumns(shape)]
  return Array.from({ length }, (_, index) => {
    const variant = variants[index]
    const cells: Cells[] = [
      { handle: writeText(product.handle) },
      index === 0 ? productCells(product) : {},
      variant ? variantCells(product, variant, stock.get(variant.id), shape) : {},
      imageCells(product, index),
    ]
    const known: Partial<Record<Field, string>> = Object.assign({}, ...cells)
    const other = new Map(
      cells.flatMap((one) => Object.entries(one.other ?? {})).map(([name, text]) => [name.toLowerCase(), text]),
    )
    return [
      ...fieldsOf(shape).map((field) => known[field] ?? ''),
      ...columns.map((name) => other.get(name.toLowerCase()) ?? ''),
    ]
  })
}

const flag = (value: boolean) => (value ? 'TRUE' : 'FALSE')
const texts = (attributes: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(attributes).map(([name, text]) => [name, writeText(text)]))

function productCells(product: Product): Cells {
  const names = product.options.length > 0 ? product.options : ['Title']
  return {
    title: writeText(product.title),
    description: writeText(product.description.given),
    vendor: writeText(product.vendor),
    category: writeText(product.category),
    tags: writeText(product.tags.join(', ')),
    published: flag(product.status === 'active'),
    status: product.status,
    ...Object.fromEntries(names.map((name, index) => [OPTION_NAMES[index], writeText(name)])),
    giftCard: 'FALSE',
    other: texts(product.attributes),
  }
}

function variantCells(
  product: Product,
  variant: Variant,
  stock: Stock | undefined,
  { currency, otherCurrencies }: ExportShape,
): Cells {
  const values =
    product.options.length > 0 ? product.options.map((name) => variant.options[name] ?? '') : ['Default Title']
  const priceIn = (wanted: Currency) => variant.prices.find((price) => price.currency === wanted)
  const amount = (amountMinor: number | null | undefined, of: Currency) =>
    typeof amountMinor === 'number' ? toDecimal({ amountMinor, currency: of }) : ''
  const compareAt = (of: Currency) =>
    amount(priceIn(of)?.compareAtMinor, of) || (variant.attributes[compareAtName(of, currency)] ?? '')
  const others = otherCurrencies.flatMap((of) => [
    [`Price / ${of}`, amount(priceIn(of)?.amountMinor, of)],
    [`Compare-at price / ${of}`, compareAt(of)],
  ])
  return {
    ...Object.fromEntries(values.map((value, index) => [OPTION_VALUES[index], writeText(value)])),
    sku: writeText(variant.sku ?? ''),
    barcode: writeText(variant.barcode ?? ''),
    price: amount(priceIn(currency)?.amountMinor, currency),
    compareAt: compareAt(currency),
    taxable: flag(variant.taxable),
    tracker: stock?.tracked ? 'shopify' : '',
    quantity: stock?.tracked ? String(stock.onHand) : '',
    policy: stock?.backOrder ? 'continue' : 'deny',
    grams: variant.weightGrams === null ? '' : String(variant.weightGrams),
    requiresShipping: flag(variant.requiresShipping),
    variantImageUrl: product.images.find((image) => image.id === variant.imageId)?.url ?? '',
    other: { ...texts(variant.attributes), ...Object.fromEntries(others) },
  }
}

function imageCells(product: Product, index: number): Cells {
  const image = product.images[index]
  return image ? { imageUrl: image.url, imagePosition: String(index + 1), imageAlt: writeText(image.alt) } : {}
}
