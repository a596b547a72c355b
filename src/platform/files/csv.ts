import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { CsvError, type InfoCallback, type Options, parse } from 'csv-parse'
import { DamagedFile, type Row, type Source } from '#kernel/file.ts'

const MAX_ROW_CHARACTERS = 1_000_000
const NUL = '\u0000'
const NOT_UTF8 = '\ufffd'

/** The sha256 of a file, in hex: what tells the same file again. */
export async function hashFile(source: Source): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of source.bytes()) hash.update(chunk)
  return hash.digest('hex')
}

/**
 * Reads a CSV file row by row, in flat memory. Rows are numbered as a spreadsheet does; blank ones are left out. Throws
 * DamagedFile, with the place, for bytes that are not UTF-8, NUL bytes, misplaced quotation marks and short or long rows.
 */
export async function* readCsv(source: Source): AsyncGenerator<Row> {
  let width = 0
  const toRow = (cells: string[], info: InfoCallback): Row => {
    width ||= cells.length
    return { number: info.records + info.empty_lines, cells }
  }
  const options = { bom: true, skip_empty_lines: true, max_record_size: MAX_ROW_CHARACTERS, on_record: toRow }
  const parser = parse(options as unknown as Options)
  // What goes wrong with the bytes comes out of the parser below.
  pipeline(Readable.from(decode(source)), parser, () => {})
  try {
    for await (const row of parser as AsyncIterable<Row>) if (row.cells.some((cell) => cell.trim() !== '')) yield row
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new DamagedFile(explain(error, width))
  }
  if (width === 0) throw new DamagedFile({ row: 1, detail: 'The file is empty.' })
}

async function* decode(source: Source): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let start = true
  for await (const chunk of source.bytes()) {
    if (start && ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)))
      throw new DamagedFile({ row: 1, column: 1, detail: 'The file is UTF-16. Save it as “CSV UTF-8”.' })
    start = false
    if (chunk.includes(0))
      throw await findDamage(
        source,
        NUL,
        'A NUL byte: this is not a text file, or it is damaged (UTF-16 without its mark, an Excel workbook).',
      )
    yield await textOf(source, () => decoder.decode(chunk, { stream: true }))
  }
  yield await textOf(source, () => decoder.decode())
}

async function textOf(source: Source, decodeNext: () => string): Promise<string> {
  try {
    return decodeNext()
  } catch {
    throw await findDamage(
      source,
      NOT_UTF8,
      'A byte that is not UTF-8; the file may be Windows-1252. Save it as “CSV UTF-8”.',
    )
  }
}

/** Reads the file again up to the first such character, counting rows and columns. */
async function findDamage(source: Source, wanted: string, detail: string): Promise<DamagedFile> {
  const decoder = new TextDecoder('utf-8')
  let [row, column, quoted] = [1, 1, false]
  for await (const chunk of source.bytes())
    for (const character of decoder.decode(chunk, { stream: true })) {
      if (character === wanted) return new DamagedFile({ row, column, detail })
      if (character === '"') quoted = !quoted
      else if (!quoted && character === ',') column += 1
      else if (!quoted && character === '\n') [row, column] = [row + 1, 1]
    }
  return new DamagedFile({ row, column, detail })
}

function explain(error: CsvError, width: number): { row: number; detail: string } {
  const info = error as unknown as { records?: number; empty_lines?: number; lines?: number; record?: string[] }
  const row = (info.records ?? 0) + (info.empty_lines ?? 0) + 1
  const line = info.lines ?? row
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return { row, detail: 'A cell in quotation marks is never closed: the file is cut off, or a mark is missing.' }
    case 'CSV_MAX_RECORD_SIZE':
      return { row, detail: `Longer than ${MAX_ROW_CHARACTERS} characters: a closing quotation mark may be missing.` }
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH':
      return {
        row,
        detail: `${info.record?.length} cells, and the header has ${width}: the row is cut off, or a comma is missing or too many.`,
      }
    default:
      return {
        row,
        detail: `A quotation mark stands where it cannot (line ${line} of the file): this is not sound CSV.`,
      }
  }
}
