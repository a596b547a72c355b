import type { Note } from './file-product.ts'

/** How many, and the first of them. */
export type Many<Item> = { readonly count: number; readonly first: readonly Item[] }

/** A note with the product it is about. */
export type ReportedNote = Note & { readonly handle: string }

export type MissingVariant = { readonly handle: string; readonly variantId: string; readonly title: string | null }

/** By element (`<iframe>`) or attribute (`style=`): in how many products, and how often in all. */
export type DroppedHtml = Readonly<Record<string, { readonly products: number; readonly times: number }>>

/** What an import did. Products are named by the number of their first row, variants by that of their own. */
export type ImportReport = {
  readonly products: {
    readonly created: Many<number>
    readonly updated: Many<number>
    readonly unchanged: Many<number>
    readonly skipped: Many<number>
  }
  readonly variants: { readonly created: number; readonly existing: number; readonly skipped: number }
  readonly images: number
  /** Variants whose stock was opened and changed. */
  readonly stock: { readonly opened: number; readonly changed: number }
  /** What earlier files of this name, or the catalogue, had and this file has not; archived on request. */
  readonly missing: {
    readonly products: Many<string>
    readonly variants: Many<MissingVariant>
    readonly archived: number
  }
  /** Products that were last imported from another file. */
  readonly otherFile: Many<{ readonly handle: string; readonly fileName: string }>
  readonly skipped: Many<ReportedNote>
  readonly warnings: Many<ReportedNote>
  readonly withoutSku: Many<number>
  readonly sharedSkus: Many<{ readonly sku: string; readonly rows: readonly number[] }>
  /** What sanitising leaves out of descriptions. */
  readonly droppedHtml: DroppedHtml
}

/** So many of each list are kept, so that a report of any file has a bounded size. */
const FIRST = 500

const none = { count: 0, first: [] }

export const emptyReport: ImportReport = {
  products: { created: none, updated: none, unchanged: none, skipped: none },
  variants: { created: 0, existing: 0, skipped: 0 },
  images: 0,
  stock: { opened: 0, changed: 0 },
  missing: { products: none, variants: none, archived: 0 },
  otherFile: none,
  skipped: none,
  warnings: none,
  withoutSku: none,
  sharedSkus: none,
  droppedHtml: {},
}

/** These, as part of a report. */
export const many = <Item>(items: readonly Item[]): Many<Item> => ({
  count: items.length,
  first: items.slice(0, FIRST),
})

/** Two parts of one import as one report: counts add up, lists follow each other. */
export function addReports(a: ImportReport, b: ImportReport): ImportReport {
  const add = (one: unknown, other: unknown): unknown => {
    if (typeof one === 'number' && typeof other === 'number') return one + other
    if (Array.isArray(one) && Array.isArray(other)) return [...one, ...other].slice(0, FIRST)
    const entries = [...Object.entries(one as object), ...Object.entries(other as object)]
    return Object.fromEntries(
      entries.map(([name]) => {
        const [left, right] = [(one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name]]
        return [name, left === undefined ? right : right === undefined ? left : add(left, right)]
      }),
    )
  }
  return add(a, b) as ImportReport
}

/** Whether an import with this report left the catalogue as it was. */
export const changedNothing = ({ products, stock, missing }: ImportReport): boolean =>
  products.created.count + products.updated.count + stock.opened + stock.changed + missing.archived === 0
