import { DamagedFile, type Source } from '#kernel/file.ts'
import { readCsv } from '#platform/files/csv.ts'
import { readNdjson } from '#platform/files/ndjson.ts'
import type { UsersFormat } from '../application/import-users.ts'
import { fieldOf } from '../domain/import-columns.ts'
import type { FileRecord } from '../domain/import-user.ts'

/** Reads the people of a file one by one. Throws DamagedFile for a CSV that is not sound or has no column of e-mails. */
export const readRecords = (source: Source, format: UsersFormat): AsyncGenerator<FileRecord> =>
  format === 'csv' ? readCsvRecords(source) : readLineRecords(source)

async function* readCsvRecords(source: Source): AsyncGenerator<FileRecord> {
  let header: readonly string[] | undefined
  for await (const { number: row, cells } of readCsv(source)) {
    if (header) yield { row, values: new Map(header.map((column, index) => [column, cells[index] ?? ''])) }
    else header = readHeader(cells)
  }
}

function readHeader(cells: readonly string[]): readonly string[] {
  const names = cells.map((cell) => cell.trim())
  const twice = names.findIndex((name, index) => name !== '' && names.indexOf(name) < index)
  if (twice >= 0) throw new DamagedFile({ row: 1, column: twice + 1, detail: 'Two columns have this name.' })
  if (names.some((name) => fieldOf(name) === 'email')) return names
  throw new DamagedFile({ row: 1, detail: 'No column is named email: the first row is to name the columns.' })
}

async function* readLineRecords(source: Source): AsyncGenerator<FileRecord> {
  for await (const line of readNdjson(source)) {
    const { number: row } = line
    if ('problem' in line) yield { row, problem: line.problem }
    else if (typeof line.value !== 'object' || line.value === null || Array.isArray(line.value))
      yield { row, problem: 'is not a JSON object' }
    else yield { row, values: new Map(Object.entries(line.value).map(([name, value]) => [name, textOf(value)])) }
  }
}

/** Texts as they are; other values as JSON, which is what no column takes but yes, no and a time in numbers. */
const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value)
