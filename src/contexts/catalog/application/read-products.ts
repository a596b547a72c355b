import { DamagedFile, type Row, type Source } from '#kernel/file.ts'
import { readText } from '../domain/shopify-cells.ts'
import { type Columns, readColumns } from '../domain/shopify-columns.ts'

/** Reads a file row by row, its header first; throws DamagedFile where it cannot. */
export type ReadRows = (source: Source) => AsyncIterable<Row>

/** What a first reading of the whole file tells. */
export type Inspection = {
  readonly columns: Columns
  /** The number of the last row. */
  readonly rows: number
  readonly products: number
  readonly handles: ReadonlySet<string>
  readonly sharedSkus: readonly { readonly sku: string; readonly rows: readonly number[] }[]
}

const MAX_ROWS = 500_000
const MAX_ROWS_OF_PRODUCT = 5_000

/**
 * Reads the whole file without applying anything. Throws DamagedFile with the place where it is not a sound product file,
 * where the rows of a product do not stand together, and where it is too long to keep count of.
 */
export async function inspectFile(readRows: ReadRows, source: Source): Promise<Inspection> {
  const handles = new Set<string>()
  const rowsOfSku = new Map<string, number[]>()
  let columns: Columns | undefined
  let rows = 1
  for await (const product of readByProduct(readRows, source)) {
    columns = product.columns
    const { sku } = columns.at
    for (const row of product.rows) {
      const text = sku === undefined ? '' : readText(row.cells[sku] ?? '')
      const earlier = rowsOfSku.get(text)
      if (earlier) earlier.push(row.number)
      else if (text) rowsOfSku.set(text, [row.number])
      rows = row.number
    }
    const [first] = product.rows
    if (!first || product.handle === '') continue
    if (handles.has(product.handle))
      throw damaged(
        columns,
        first.number,
        `“${product.handle}” stood in earlier rows already; the rows of one product must follow each other.`,
      )
    if (product.rows.length > MAX_ROWS_OF_PRODUCT)
      throw damaged(columns, first.number, `“${product.handle}” has more than ${MAX_ROWS_OF_PRODUCT} rows.`)
    if (rows > MAX_ROWS)
      throw damaged(columns, rows, `The file has more than ${MAX_ROWS} rows; split it between two products.`)
    handles.add(product.handle)
  }
  if (!columns) throw new DamagedFile({ row: 2, detail: 'The file has no rows below its header.' })
  const sharedSkus = [...rowsOfSku]
    .filter(([, at]) => at.length > 1)
    .map(([sku, at]) => ({ sku, rows: at.slice(0, 100) }))
  return { columns, rows, products: handles.size, handles, sharedSkus }
}

const damaged = (columns: Columns, row: number, detail: string) =>
  new DamagedFile({ row, column: (columns.at.handle ?? 0) + 1, detail })

export type ProductRows = { readonly columns: Columns; readonly handle: string; readonly rows: readonly Row[] }

/** Reads a file product by product: the rows of one handle that follow each other. Rows without a handle stand alone. */
export async function* readByProduct(readRows: ReadRows, source: Source): AsyncGenerator<ProductRows> {
  let columns: Columns | undefined
  let handle = ''
  let rows: Row[] = []
  for await (const row of readRows(source)) {
    if (!columns) {
      columns = readColumns(row.cells)
      continue
    }
    const next = readText(row.cells[columns.at.handle ?? 0] ?? '')
    if (rows.length > 0 && (next !== handle || next === '')) {
      yield { columns, handle, rows }
      rows = []
    }
    handle = next
    // One more than is allowed is enough to refuse the file.
    if (rows.length <= MAX_ROWS_OF_PRODUCT) rows.push(row)
  }
  if (columns && rows.length > 0) yield { columns, handle, rows }
}
