/** One page of a list, and where the next begins; `nextCursor` is null on the last page. */
export type Page<Item> = { readonly data: readonly Item[]; readonly nextCursor: string | null }

/** The sort values of a page's last row, its id last: what a keyset cursor carries. */
export type Keyset = readonly (string | number | null)[]

/** An opaque cursor for "after this row". */
export const cursorAfter = (keyset: Keyset): string => btoa(encodeURIComponent(JSON.stringify(keyset)))

/** What a value of a cursor can be; only a text without NUL can be compared in SQL. */
const IS_KIND = {
  text: (value: unknown) => typeof value === 'string' && !value.includes('\0'),
  number: (value: unknown) => typeof value === 'number' && Number.isFinite(value),
  integer: (value: unknown) => Number.isSafeInteger(value),
}
export type CursorKind = keyof typeof IS_KIND
type ValuesOf<Kinds extends readonly CursorKind[]> = {
  readonly [Index in keyof Kinds]: Kinds[Index] extends 'text' ? string : number
}

/** Reads a cursor back; undefined unless it holds values of exactly these kinds, as one of ours does. */
export function readCursor<const Kinds extends readonly CursorKind[]>(
  cursor: string,
  kinds: Kinds,
): ValuesOf<Kinds> | undefined {
  try {
    const keyset: unknown = JSON.parse(decodeURIComponent(atob(cursor)))
    const ours =
      Array.isArray(keyset) &&
      keyset.length === kinds.length &&
      kinds.every((kind, index) => IS_KIND[kind](keyset[index]))
    return ours ? (keyset as never) : undefined
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
