import { type RawBuilder, sql } from 'kysely'
import { isLockTimeout } from '#platform/db/errors.ts'
import type { Reader } from '#platform/db/work.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import { type Encryption, headerOf } from './encryption.ts'
import { type Column, type SealedColumn, type SealedTable, valuesWithRows } from './sealed-columns.ts'

/** What sealing a table anew came to. */
export type Resealed = {
  readonly rows: number
  /** Rows that somebody else was changing: they are for the next time. */
  readonly busy: number
  /** Values that do not open, as `schema.table.column:key`; they stay as they are. */
  readonly broken: readonly string[]
}

type Value = Buffer | null
type Row = Readonly<Record<string, Value | string>> & { readonly key: string }

const BATCH_ROWS = 300

/** How many rows of a table have a value that is not sealed under the key of this header. */
export async function countOld(db: Reader, table: SealedTable, header: Buffer): Promise<number> {
  const { rows } = await sql<{ old: number }>`
    select count(*) as old from ${nameOf(table)} where ${isOld(table, header)}`.execute(db)
  return rows[0]?.old ?? 0
}

/** How many values of a column have this header. */
export async function countUnder(db: Reader, { column, ...table }: Column, header: Buffer): Promise<number> {
  const { rows } = await sql<{ found: number }>`
    select count(*) as found from ${nameOf(table)}
    where substr(${sql.id(column)}, 1, ${header.length}::int) = ${header}`.execute(db)
  return rows[0]?.found ?? 0
}

export type ResealOptions = {
  readonly encryption: Encryption
  /** Of the key that everything is to be under. */
  readonly header: Buffer
  /** Locks each row for itself instead: for those that are never the same for long. */
  readonly patient: boolean
  readonly onBatch: (rows: number) => void
}

/**
 * Seals every value of a table that is not under the wanted key anew, in small batches, each one statement that waits for
 * nobody and changes a row only where all its sealed values are still those that were read.
 */
export async function resealTable(db: Reader, table: SealedTable, options: ResealOptions): Promise<Resealed> {
  const { encryption, header, patient, onBatch } = options
  let [rows, busy] = [0, 0]
  const broken: string[] = []
  for (let after: string | undefined; ; ) {
    const batch = await readRows(
      db,
      table,
      header,
      after === undefined ? sql`` : sql`and ${sql.id(table.key)} > ${after}`,
    )
    if (batch.length === 0) return { rows, busy, broken }
    after = batch.at(-1)?.key
    const fresh = batch.flatMap((row) => {
      const sealed = sealRow(encryption, table, header, row)
      broken.push(...sealed.broken)
      return sealed.changed ? [{ key: row.key, values: sealed.values, old: valuesOf(table, row) }] : []
    })
    await failpoint('keys.batch-read')
    const written = patient ? await resealAlone(db, table, options, fresh) : await writeRows(db, table, fresh)
    await failpoint('keys.batch-written')
    rows += written
    busy += fresh.length - written
    onBatch(written)
  }
}

/** Row by row under its lock: whoever comes meanwhile waits, as for any other change. */
async function resealAlone(db: Reader, table: SealedTable, options: ResealOptions, rows: readonly Fresh[]) {
  const { encryption, header } = options
  let written = 0
  for (const { key } of rows)
    await db
      .transaction()
      .execute(async (tx) => {
        const [row] = await readRows(tx, table, header, sql`and ${sql.id(table.key)} = ${key}`, sql`for update`)
        if (!row) return
        const { values, changed } = sealRow(encryption, table, header, row)
        if (changed) written += await writeRows(tx, table, [{ key, values, old: valuesOf(table, row) }])
      })
      .catch((error) => {
        if (!isLockTimeout(error)) throw error
      })
  return written
}

async function readRows(
  db: Reader,
  table: SealedTable,
  header: Buffer,
  which: RawBuilder<unknown>,
  lock = sql``,
): Promise<Row[]> {
  const { key } = table
  const { rows } = await sql<Row>`
    select ${sql.id(key)}::text as key, ${valuesWithRows(table)} from ${nameOf(table)}
    where (${isOld(table, header)}) ${which}
    order by ${sql.id(key)} limit ${BATCH_ROWS} ${lock}`.execute(db)
  return rows
}

function sealRow({ open, seal }: Encryption, table: SealedTable, header: Buffer, row: Row) {
  const broken: string[] = []
  let changed = false
  const values = valuesOf(table, row).map((value, at) => {
    if (value === null || value.subarray(0, header.length).equals(header)) return value
    const { column } = table.columns[at] as SealedColumn
    const place = { table: `${table.schema}.${table.table}`, column, row: row[`row${at}`] as string }
    try {
      headerOf(value)
      const fresh = seal(open(value, place), place)
      changed = true
      return fresh
    } catch {
      broken.push(`${place.table}.${column}:${place.row}`)
      return value
    }
  })
  return { values, changed, broken }
}

type Fresh = { readonly key: string; readonly values: readonly Value[]; readonly old: readonly Value[] }

async function writeRows(db: Reader, table: SealedTable, batch: readonly Fresh[]): Promise<number> {
  if (batch.length === 0) return 0
  const { key, columns } = table
  const names = columns.map(({ column }, at) => ({
    column: sql.id(column),
    old: sql.id(`old${at}`),
    fresh: sql.id(`fresh${at}`),
  }))
  const arrays = columns.flatMap((_, at) => [
    sql`${batch.map(({ old }) => old[at])}::bytea[]`,
    sql`${batch.map(({ values }) => values[at])}::bytea[]`,
  ])
  const keys = batch.map((row) => row.key)
  const pairs = sql.join(names.flatMap(({ old, fresh }) => [old, fresh]))
  const { rows } = await sql<{ key: string }>`
    with batch as (
      select key, ${pairs} from unnest(${keys}::text[], ${sql.join(arrays)}) as b (key, ${pairs})
    ), unchanged as (
      select t.${sql.id(key)} as id, b.key from ${nameOf(table)} t join batch b on b.key = t.${sql.id(key)}::text
      where t.${sql.id(key)} = any(${keys})
        and ${sql.join(
          names.map(({ column, old }) => sql`t.${column} is not distinct from b.${old}`),
          sql` and `,
        )}
      for update of t skip locked
    )
    update ${nameOf(table)} t set ${sql.join(names.map(({ column, fresh }) => sql`${column} = b.${fresh}`))}
    from unchanged u join batch b on b.key = u.key where t.${sql.id(key)} = u.id
    returning b.key`.execute(db)
  return rows.length
}

const nameOf = ({ schema, table }: { schema: string; table: string }) => sql.id(schema, table)

const valuesOf = ({ columns }: SealedTable, row: Row): Value[] => columns.map((_, at) => row[`value${at}`] as Value)

/** A value that is null is not old: it compares as unknown. */
const isOld = ({ columns }: SealedTable, header: Buffer): RawBuilder<unknown> =>
  sql.join(
    columns.map(({ column }) => sql`substr(${sql.id(column)}, 1, ${header.length}::int) <> ${header}`),
    sql` or `,
  )
