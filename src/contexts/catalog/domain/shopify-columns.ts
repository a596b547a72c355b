import { DamagedFile } from '#kernel/file.ts'
import { type Currency, isCurrency } from '#kernel/money.ts'

/** What the catalogue has a place for, and what Shopify's product files call it: the older name first, then today's. */
const FIELDS = {
  handle: ['Handle', 'URL handle'],
  title: ['Title'],
  description: ['Body (HTML)', 'Description'],
  vendor: ['Vendor'],
  category: ['Type'],
  tags: ['Tags'],
  published: ['Published', 'Published on online store'],
  status: ['Status'],
  option1Name: ['Option1 Name'],
  option1Value: ['Option1 Value'],
  option2Name: ['Option2 Name'],
  option2Value: ['Option2 Value'],
  option3Name: ['Option3 Name'],
  option3Value: ['Option3 Value'],
  // Shopify stops at three; the catalogue has up to five, and so has its export.
  option4Name: ['Option4 Name'],
  option4Value: ['Option4 Value'],
  option5Name: ['Option5 Name'],
  option5Value: ['Option5 Value'],
  sku: ['Variant SKU', 'SKU'],
  barcode: ['Variant Barcode', 'Barcode', 'Variant Barcodes', 'Barcodes'],
  grams: ['Variant Grams', 'Weight value (grams)'],
  tracker: ['Variant Inventory Tracker', 'Inventory tracker'],
  quantity: ['Variant Inventory Qty', 'Inventory quantity'],
  policy: ['Variant Inventory Policy', 'Continue selling when out of stock'],
  price: ['Variant Price', 'Price'],
  compareAt: ['Variant Compare At Price', 'Compare-at price', 'Compare At Price'],
  requiresShipping: ['Variant Requires Shipping', 'Requires shipping'],
  taxable: ['Variant Taxable', 'Charge tax'],
  imageUrl: ['Image Src', 'Product image URL'],
  imagePosition: ['Image Position'],
  imageAlt: ['Image Alt Text'],
  variantImageUrl: ['Variant Image', 'Variant image URL'],
  giftCard: ['Gift Card'],
} as const satisfies Record<string, readonly string[]>

/** Columns without a place of their own that both dialects have: the attribute they become, first name first. */
const ATTRIBUTES: readonly (readonly string[])[] = [
  ['Product category', 'Product Category'],
  ['SEO title', 'SEO Title'],
  ['SEO description', 'SEO Description'],
]

/** The same for what each variant has. */
const VARIANT_ATTRIBUTES: readonly (readonly string[])[] = [
  ['Fulfillment service', 'Variant Fulfillment Service'],
  ['Weight unit for display', 'Variant Weight Unit'],
  ['Tax code', 'Variant Tax Code'],
  ['Cost per item'],
  ['Unit price total measure'],
  ['Unit price total measure unit'],
  ['Unit price base measure'],
  ['Unit price base measure unit'],
]

export type Field = keyof typeof FIELDS

/** The columns of an option's name and value, option by option. */
export const OPTION_NAMES = ['option1Name', 'option2Name', 'option3Name', 'option4Name', 'option5Name'] as const
export const OPTION_VALUES = ['option1Value', 'option2Value', 'option3Value', 'option4Value', 'option5Value'] as const

/** Today's name of a field's column: what an export writes. */
export const nameOf = (field: Field): string => {
  const [older, today = older] = FIELDS[field]
  return today
}

/** An unknown column belongs to the product where its first row fills it, to a variant on that variant's own row. */
export type AttributeColumn = {
  readonly index: number
  readonly name: string
  readonly of: 'product' | 'variant' | 'row'
}
export type PriceColumns = { readonly currency: Currency; readonly price?: number; readonly compareAt?: number }

/** Where a file has what: column numbers from 0. */
export type Columns = {
  readonly headers: readonly string[]
  readonly at: Partial<Readonly<Record<Field, number>>>
  /** Further currencies: `Price / EUR` and `Compare-at price / EUR`. */
  readonly prices: readonly PriceColumns[]
  readonly attributes: readonly AttributeColumn[]
}

const same = (name: string): string => name.trim().toLowerCase()
const FIELD_OF = new Map(
  Object.entries(FIELDS).flatMap(([field, names]) => names.map((name) => [same(name), field as Field])),
)
const ATTRIBUTE_OF = new Map<string, { name: string; of: AttributeColumn['of'] }>([
  ...ATTRIBUTES.flatMap((names) => names.map((name) => [same(name), { name: names[0]!, of: 'product' }] as const)),
  ...VARIANT_ATTRIBUTES.flatMap((names) =>
    names.map((name) => [same(name), { name: names[0]!, of: 'variant' }] as const),
  ),
])
const CURRENCY_PRICE = /^(?:variant )?(price|compare[- ]at price) \/ ([a-z]{3})$/

/**
 * Reads the header row, either dialect, whatever the case. Throws DamagedFile where there is no handle column, where a
 * name is blank, and where two columns mean the same, naming both.
 */
export function readColumns(headers: readonly string[]): Columns {
  const at: Partial<Record<Field, number>> = {}
  const prices = new Map<Currency, { currency: Currency; price?: number; compareAt?: number }>()
  const attributes: AttributeColumn[] = []
  const seen = new Map<string, number>()
  const take = (meaning: string, index: number) => {
    const earlier = seen.get(meaning)
    if (earlier !== undefined)
      throw damaged(
        index,
        `“${headers[index]}” and “${headers[earlier]}” (column ${earlier + 1}) mean the same; keep one.`,
      )
    seen.set(meaning, index)
  }
  headers.forEach((header, index) => {
    const name = same(header)
    if (name === '') throw damaged(index, 'This column has no name.')
    const field = FIELD_OF.get(name)
    const [, kind, code] = CURRENCY_PRICE.exec(name) ?? []
    const currency = code?.toUpperCase()
    take(field ?? same(ATTRIBUTE_OF.get(name)?.name ?? name), index)
    if (field) at[field] = index
    else if (kind && currency && isCurrency(currency))
      prices.set(currency, { ...prices.get(currency), currency, [kind === 'price' ? 'price' : 'compareAt']: index })
    else attributes.push({ index, ...(ATTRIBUTE_OF.get(name) ?? { name: header.trim(), of: 'row' }) })
  })
  if (at.handle === undefined) throw damaged(undefined, noHandle(headers))
  return { headers, at, prices: [...prices.values()], attributes }
}

const damaged = (index: number | undefined, detail: string) =>
  new DamagedFile({ row: 1, ...(index === undefined ? {} : { column: index + 1 }), detail })

function noHandle(headers: readonly string[]): string {
  const [only = ''] = headers
  if (headers.length === 1 && /[;\t]/.test(only))
    return 'The columns are separated by something else than commas. Save the file as comma-separated values (CSV).'
  return 'There is no “Handle” or “URL handle” column, so this is not a Shopify product export.'
}
