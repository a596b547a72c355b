/** One page of a list, and where the next begins; `nextCursor` is null on the last page. */
export type Page<Item> = { readonly data: readonly Item[]; readonly nextCursor: string | null }

/** The sort values of a page's last row, its id last: what a keyset cursor carries. */
export type Keyset = readonly (string | number | null)[]

/** An opaque cursor for "after this row". */
export const cursorAfter = (keyset: Keyset): string => btoa(encodeURIComponent(JSON.stringify(keyset)))

/** Reads a cursor back; undefined when it is not one of ours or has another number of values. */
export function readCursor(cursor: string, values: number): Keyset | undefined {
  try {
    const keyset: unknown = JSON.parse(decodeURIComponent(atob(cursor)))
    const ours =
      Array.isArray(keyset) &&
      keyset.length === values &&
      keyset.every((value) => value === null || typeof value === 'string' || typeof value === 'number')
    return ours ? (keyset as Keyset) : undefined
  } catch {
    return undefined
  }
}

/** Cuts `rows` (fetched with one more than `limit`) to a page. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
  toKeyset: (row: Row) => Keyset,
): Page<Item> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { data: shown.map(toItem), nextCursor: rows.length > limit && last ? cursorAfter(toKeyset(last)) : null }
}
