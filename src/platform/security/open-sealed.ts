import { sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import type { Encryption } from './encryption.ts'
import { readRegistry, type SealedTable, valuesWithRows } from './sealed-columns.ts'

/** How many values opened, and those that did not, as `schema.table.column:row`. */
export type Opened = { readonly opened: number; readonly broken: readonly string[] }

type Row = Readonly<Record<string, Buffer | string | null>> & { readonly key: string }

const BATCH_ROWS = 1_000

/** Opens every sealed value that our keys alone can open, in batches; what was read is forgotten at once. */
export async function openSealedValues(db: Reader, encryption: Encryption): Promise<Opened> {
  let opened = 0
  const broken: string[] = []
  for (const table of (await readRegistry(db)).sealed)
    for await (const row of rowsOf(db, table))
      for (const [at, { column }] of table.columns.entries()) {
        const value = row[`value${at}`] as Buffer | null
        const place = { table: `${table.schema}.${table.table}`, column, row: row[`row${at}`] as string }
        if (value === null) continue
        if (opens(encryption, value, place)) opened += 1
        else broken.push(`${place.table}.${column}:${place.row}`)
      }
  return { opened, broken }
}

async function* rowsOf(db: Reader, sealed: SealedTable): AsyncGenerator<Row> {
  const { schema, table, key } = sealed
  for (let after: string | undefined; ; ) {
    const { rows } = await sql<Row>`
      select ${sql.id(key)}::text as key, ${valuesWithRows(sealed)} from ${sql.id(schema, table)}
      ${after === undefined ? sql`` : sql`where ${sql.id(key)} > ${after}`}
      order by ${sql.id(key)} limit ${BATCH_ROWS}`.execute(db)
    if (rows.length === 0) return
    yield* rows
    after = rows.at(-1)?.key
  }
}

function opens({ open }: Encryption, value: Buffer, place: Parameters<Encryption['open']>[1]): boolean {
  try {
    open(value, place)
    return true
  } catch {
    return false
  }
}
