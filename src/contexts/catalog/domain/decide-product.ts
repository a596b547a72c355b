import { type FileProduct, type Note, optionKeyOf } from './file-product.ts'
import type { DroppedHtml } from './import-report.ts'
import { type MergeContext, type Merged, mergeProduct } from './merge-product.ts'
import { type Description, optionKey, type Product, type Variant } from './product.ts'

/** How a file is taken: what its prices are in, and what happens to what there is already. */
export type ImportOptions = {
  readonly currency: string
  /** Makes drafts of the file active. */
  readonly publish: boolean
  readonly existing: 'update' | 'skip'
  /** Variants, and products last imported from a file of this name, that the file has no longer are archived. */
  readonly archiveMissing: boolean
  /** Stock follows the file's quantities: it is changed by what they changed since they were last taken. */
  readonly stock: boolean
}

export type DecideContext = Omit<MergeContext, 'archiveMissing' | 'describe'> & {
  readonly options: ImportOptions
  readonly sanitise: (given: string) => Description & { readonly dropped: Readonly<Record<string, number>> }
}

/** What becomes of one product of a file. */
export type Decided =
  | { readonly outcome: 'skipped'; readonly note: Note }
  | (Merged & { readonly outcome: 'created' | 'updated' | 'unchanged'; readonly droppedHtml: DroppedHtml })

/** Decides what becomes of a product; `same` tells that the file says what it said when the product was last imported. */
export function decideProduct(
  existing: Product | undefined,
  file: FileProduct,
  same: boolean,
  { options, sanitise, ...context }: DecideContext,
): Decided {
  if (existing && options.existing === 'skip')
    return { outcome: 'skipped', note: { code: 'existing', row: file.row, detail: 'is in the catalogue already' } }
  const archives = existing !== undefined && options.archiveMissing && missingOf(existing, file).length > 0
  if (existing && same && !archives) return { outcome: 'unchanged', ...asItIs(existing, file), droppedHtml: {} }
  let droppedHtml: DroppedHtml = {}
  const merged = mergeProduct(existing, file, {
    ...context,
    archiveMissing: options.archiveMissing,
    describe: (given) => {
      const { dropped, ...description } = sanitise(given)
      droppedHtml = Object.fromEntries(Object.entries(dropped).map(([name, times]) => [name, { products: 1, times }]))
      return description
    },
  })
  if ('code' in merged) return { outcome: 'skipped', note: merged }
  if (!existing) return { ...merged, outcome: 'created', droppedHtml }
  const { version, updatedAt, publishedAt } = existing
  if (sameContent({ ...merged.product, version, updatedAt, publishedAt }, existing))
    return { ...merged, product: existing, events: [], outcome: 'unchanged', droppedHtml }
  return { ...merged, outcome: 'updated', droppedHtml }
}

/** Whether two values say the same, in whatever order their properties are. */
function sameContent(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || a instanceof Date) return false
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].every((name) => sameContent(a[name as keyof typeof a], b[name as keyof typeof b]))
}

const keyOf = (product: Product, variant: Variant) => optionKey(product.options, variant.options)

function asItIs(product: Product, file: FileProduct): Merged {
  const byKey = new Map(product.variants.map((variant) => [keyOf(product, variant), variant.id]))
  const variants = file.variants.flatMap((variant) => {
    const id = byKey.get(optionKeyOf(variant.optionValues))
    return id ? [{ id, isNew: false, file: variant }] : []
  })
  return { product, events: [], variants, missing: missingOf(product, file), skipped: [] }
}

/** The active variants that the file, where it lists variants at all, has not. */
function missingOf(product: Product, file: FileProduct): Variant[] {
  if (file.inFile.length === 0 || file.optionNames === undefined) return []
  const inFile = new Set(file.inFile.map(optionKeyOf))
  return product.variants.filter((variant) => variant.status === 'active' && !inFile.has(keyOf(product, variant)))
}
