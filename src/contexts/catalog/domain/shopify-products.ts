import type { Row } from '#kernel/file.ts'
import type { Currency } from '#kernel/money.ts'
import { type FileProduct, type Note, present } from './file-product.ts'
import { readFlag, readTags, readWord } from './shopify-cells.ts'
import type { Columns } from './shopify-columns.ts'
import { readImages } from './shopify-images.ts'
import { type RowReader, rowReader, Skip } from './shopify-row.ts'
import { readVariants } from './shopify-variants.ts'

/** `currency` is that of the columns which name none; `publish` makes drafts active. */
export type ReadOptions = { readonly currency: Currency; readonly publish: boolean }

/** What the rows of one handle say. Without `product` they are skipped, and `skipped` says why. */
export type Reading = {
  readonly product?: FileProduct
  readonly skipped: readonly Note[]
  readonly warnings: readonly Note[]
}

const LONGEST_DESCRIPTION = 500_000
const HANDLE = /^[\p{Ll}\p{Lo}\p{M}\p{N}]+(?:[-_]+[\p{Ll}\p{Lo}\p{M}\p{N}]+)*$/u
const STATUS = { active: 'active', draft: 'draft', archived: 'archived' } as const

/** Reads one product from its rows, of which the first carries what belongs to the product. Pure, and throws nothing. */
export function readProduct(columns: Columns, rows: readonly Row[], options: ReadOptions): Reading {
  const readers = rows.map((row) => rowReader(columns, row))
  const [first] = readers
  if (!first) return { skipped: [], warnings: [] }
  try {
    const head = readHead(first, options)
    const images = readImages(readers)
    const { skipped, warnings, ...variants } = readVariants(columns, readers, options.currency)
    return {
      product: { ...head, ...variants, ...(images && { images: images.images }) },
      skipped,
      warnings: [...warnings, ...(images?.warnings ?? [])],
    }
  } catch (error) {
    if (!(error instanceof Skip)) throw error
    return { skipped: [error.note], warnings: [] }
  }
}

function readHead(first: RowReader, options: ReadOptions) {
  if (first.read('giftCard', readFlag))
    throw new Skip('gift-card', first.row, 'gift cards are not sold yet', 'Gift Card')
  const handle = first.text('handle') ?? ''
  if (!HANDLE.test(handle))
    throw new Skip(
      'bad-cell',
      first.row,
      `“${handle}” is not a handle: lower-case letters, digits and hyphens`,
      'Handle',
    )
  const title = first.text('title')
  if (title === '') throw new Skip('no-title', first.row, 'has no title', 'Title')
  return present({
    row: first.row,
    handle,
    title,
    description: first.text('description', LONGEST_DESCRIPTION),
    vendor: first.text('vendor'),
    category: first.text('category'),
    tags: first.read('tags', readTags),
    status: readStatus(first, options),
    attributes: first.attributes(['product', 'row']),
  })
}

/** `Status` wins over `Published`; blank is published. */
function readStatus(first: RowReader, { publish }: ReadOptions): FileProduct['status'] | undefined {
  const published = first.read('published', (cell) => (readFlag(cell) === false ? 'draft' : 'active'))
  const status = first.read('status', (cell) => readWord(cell, STATUS)) ?? published
  return publish && status !== 'archived' ? 'active' : status
}
