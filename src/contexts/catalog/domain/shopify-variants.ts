import type { Currency } from '#kernel/money.ts'
import { type FilePrice, type FileVariant, type Note, optionKeyOf, present } from './file-product.ts'
import { readAmount, readFlag, readGrams, readWhole, readWord } from './shopify-cells.ts'
import { type Columns, type Field, nameOf, OPTION_NAMES, OPTION_VALUES } from './shopify-columns.ts'
import { isWebAddress } from './shopify-images.ts'
import { type RowReader, Skip } from './shopify-row.ts'

const MARKS = [...OPTION_VALUES, 'sku', 'price'] as const satisfies readonly Field[]
const POLICY = { deny: false, continue: true, false: false, true: true }
const MAX_STOCK = 1_000_000_000
const MAX_VARIANTS = 2_048

export type VariantReading = {
  readonly optionNames?: readonly string[]
  readonly variants: readonly FileVariant[]
  readonly inFile: readonly (readonly string[])[]
  readonly skipped: readonly Note[]
  readonly warnings: readonly Note[]
}

/**
 * Reads the variants of one product: every row with an option value, a SKU or a price. A variant that cannot be read is
 * skipped alone. Throws Skip where the options cannot be told.
 */
export function readVariants(columns: Columns, readers: readonly RowReader[], currency: Currency): VariantReading {
  const rows = readers.filter((reader) => MARKS.some(reader.has))
  if (rows.length > MAX_VARIANTS)
    throw new Skip(
      'too-many',
      rows[MAX_VARIANTS]!.row,
      `has ${rows.length} variants, and at most ${MAX_VARIANTS} are taken`,
    )
  const optionNames = columns.at.option1Value === undefined ? undefined : readOptionNames(readers, rows)
  const variants: FileVariant[] = []
  const inFile = new Map<string, readonly string[]>()
  const skipped: Note[] = []
  const warnings: Note[] = readers.filter(holdsNothing).map(({ row }) => emptyRow(row))
  if (rows.length === 0 && columns.at.price !== undefined)
    skipped.push({
      code: 'no-price',
      row: readers[0]!.row,
      column: columns.headers[columns.at.price]!,
      detail: 'has no price',
    })
  for (const reader of rows) {
    try {
      const optionValues = readOptionValues(reader, optionNames ?? [])
      const key = optionKeyOf(optionValues)
      if (inFile.has(key))
        throw new Skip(
          'same-options',
          reader.row,
          `has the options of an earlier row: ${optionValues.join(' / ') || 'none'}`,
        )
      inFile.set(key, optionValues)
      variants.push(readVariant(columns, reader, reader === readers[0], { currency, optionValues }, warnings))
    } catch (error) {
      if (!(error instanceof Skip)) throw error
      skipped.push(error.note)
    }
  }
  return { ...(optionNames && { optionNames }), variants, inFile: [...inFile.values()], skipped, warnings }
}

const holdsNothing = (reader: RowReader, index: number) =>
  index > 0 && ![...MARKS, 'imageUrl' as const].some(reader.has)
const emptyRow = (row: number): Note => ({ code: 'empty-row', row, detail: 'holds neither a variant nor an image' })

/** Only the value “Default Title” means that there are no options; as a name, “Title” is an option like any other. */
function readOptionNames([first]: readonly RowReader[], rows: readonly RowReader[]): string[] {
  const used = OPTION_VALUES.findLastIndex((field) => rows.some((row) => row.has(field))) + 1
  if (rows.length <= 1 && (used === 0 || (used === 1 && rows[0]?.text('option1Value') === 'Default Title'))) return []
  const names = OPTION_NAMES.slice(0, used).map((field, index) => first?.text(field) || `Option ${index + 1}`)
  if (new Set(names).size < names.length)
    throw new Skip('bad-cell', first?.row ?? 0, `has two options of one name: ${names.join(', ')}`, 'Option1 Name')
  return names
}

function readOptionValues(reader: RowReader, names: readonly string[]): string[] {
  return names.map((name, index) => {
    const field = OPTION_VALUES[index]!
    const value = reader.text(field)
    if (!value)
      throw new Skip('bad-cell', reader.row, `has no value for the option ${name}`, `Option${index + 1} Value`)
    return value
  })
}

type VariantPlace = { readonly currency: Currency; readonly optionValues: readonly string[] }

function readVariant(
  columns: Columns,
  reader: RowReader,
  first: boolean,
  place: VariantPlace,
  warnings: Note[],
): FileVariant {
  const { prices, unused } = readPrices(columns, reader, place.currency, warnings)
  const stock = readStock(reader, warnings)
  const rowAttributes = Object.entries(reader.attributes(['row'])).map(
    ([name, value]) => [name, first ? '' : value] as const,
  )
  const imageUrl = reader.read('variantImageUrl', (cell) => cell.trim() || null)
  if (imageUrl && !isWebAddress(imageUrl))
    warnings.push({ code: 'bad-image', row: reader.row, detail: `“${imageUrl.slice(0, 80)}” is not a web address` })
  return present({
    row: reader.row,
    optionValues: place.optionValues,
    sku: orNull(reader.text('sku')),
    barcode: orNull(reader.text('barcode')),
    weightGrams: readWeight(reader, warnings),
    ...stock,
    prices,
    taxable: reader.read('taxable', (cell) => readFlag(cell) ?? true),
    requiresShipping: reader.read('requiresShipping', (cell) => readFlag(cell) ?? true),
    imageUrl: imageUrl && !isWebAddress(imageUrl) ? null : imageUrl,
    attributes: { ...Object.fromEntries<string>(rowAttributes), ...reader.attributes(['variant']), ...unused },
  })
}

const orNull = (text: string | undefined): string | null | undefined => (text === '' ? null : text)

/** A compare-at price that is no reduction is kept as an attribute. Throws Skip where there is a price column and no price. */
function readPrices(columns: Columns, reader: RowReader, own: Currency, warnings: Note[]) {
  const prices: FilePrice[] = []
  const unused: Record<string, string> = {}
  const base = { currency: own, price: columns.at.price, compareAt: columns.at.compareAt }
  for (const { currency, price, compareAt } of [base, ...columns.prices.filter((other) => other.currency !== own)]) {
    if (price === undefined) continue
    const amountMinor = reader.readAt(price, (cell) => readAmount(cell, currency))
    if (amountMinor === undefined) continue
    if (amountMinor === 0)
      warnings.push({ code: 'price-zero', row: reader.row, column: columns.headers[price]!, detail: 'costs nothing' })
    if (compareAt === undefined) prices.push({ currency, amountMinor })
    else {
      const given = reader.readAt(compareAt, (cell) => readAmount(cell, currency))
      const reduced = given !== undefined && given > amountMinor
      prices.push({ currency, amountMinor, compareAtMinor: reduced ? given : null })
      unused[compareAtName(currency, own)] =
        given === undefined || reduced ? '' : reader.readAt(compareAt, (cell) => cell.trim())
    }
  }
  if (prices.length === 0 && columns.at.price !== undefined)
    throw new Skip('no-price', reader.row, 'has no price', columns.headers[columns.at.price])
  return { prices, unused }
}

/** The attribute that keeps a compare-at price which is no reduction: named as its column is. */
export const compareAtName = (currency: Currency, own: Currency): string =>
  currency === own ? nameOf('compareAt') : `${nameOf('compareAt')} / ${currency}`

/** A blank tracker means not tracked, whatever the quantity says. */
function readStock(reader: RowReader, warnings: Note[]) {
  const backOrder = reader.read('policy', (cell) => readWord(cell, POLICY) ?? false)
  const counted = reader.read('quantity', (cell) => readWhole(cell, -MAX_STOCK, MAX_STOCK) ?? null)
  const tracked = reader.read('tracker', (cell) => cell.trim() !== '')
  const quantity = tracked === false && counted !== undefined ? null : counted
  if (typeof quantity === 'number' && quantity < 0)
    warnings.push({
      code: 'negative-quantity',
      row: reader.row,
      detail: `${quantity} is taken as 0${backOrder ? ', with back-orders' : ''}`,
    })
  return { tracked, backOrder, quantity }
}

function readWeight(reader: RowReader, warnings: Note[]): number | null | undefined {
  const exact = reader.read('grams', (cell) => readGrams(cell) ?? null)
  if (typeof exact !== 'number' || Number.isInteger(exact)) return exact
  const weightGrams = Math.round(exact)
  warnings.push({ code: 'weight-rounded', row: reader.row, detail: `${exact} g is taken as ${weightGrams} g` })
  return weightGrams
}
