import type { Row } from '#kernel/file.ts'
import type { Note, NoteCode } from './file-product.ts'
import { BadCell, readText } from './shopify-cells.ts'
import type { AttributeColumn, Columns, Field } from './shopify-columns.ts'

/** Why a product or a variant is not taken; thrown while it is read. */
export class Skip extends Error {
  readonly note: Note

  constructor(code: NoteCode, row: number, detail: string, column?: string) {
    super(detail)
    this.note = { code, row, detail, ...(column === undefined ? {} : { column }) }
  }
}

/** The cells of one row by what they mean. What cannot be read throws Skip with the row and the column's name. */
export type RowReader = {
  readonly row: number
  /** Whether the cell holds anything. */
  readonly has: (field: Field) => boolean
  /** Reads a cell; absent when the file has no such column. */
  readonly read: <Value>(field: Field, read: (cell: string) => Value) => Value | undefined
  readonly readAt: <Value>(index: number, read: (cell: string) => Value) => Value
  /** A text of at most `longest` characters; '' when blank, absent without a column. */
  readonly text: (field: Field, longest?: number) => string | undefined
  /** The attributes of these columns by name; '' when blank. */
  readonly attributes: (of: readonly AttributeColumn['of'][]) => Record<string, string>
}

const LONGEST = 255
const LONGEST_ATTRIBUTE = 5_000

/** Reads one row by the columns of its file. */
export function rowReader(columns: Columns, { number: row, cells }: Row): RowReader {
  const readAt: RowReader['readAt'] = (index, read) => {
    try {
      return read(cells[index] ?? '')
    } catch (error) {
      if (!(error instanceof BadCell)) throw error
      throw new Skip('bad-cell', row, error.message, columns.headers[index])
    }
  }
  const read: RowReader['read'] = (field, how) => {
    const index = columns.at[field]
    return index === undefined ? undefined : readAt(index, how)
  }
  return {
    row,
    has: (field) => (cells[columns.at[field] ?? -1] ?? '').trim() !== '',
    read,
    readAt,
    text: (field, longest = LONGEST) => read(field, atMost(longest)),
    attributes: (of) =>
      Object.fromEntries(
        columns.attributes
          .filter((column) => of.includes(column.of))
          .map((column) => [column.name, readAt(column.index, atMost(LONGEST_ATTRIBUTE))]),
      ),
  }
}

const atMost = (longest: number) => (cell: string) => {
  const text = readText(cell)
  if (text.length > longest) throw new BadCell(`has ${text.length} characters, and at most ${longest} are taken`)
  return text
}
