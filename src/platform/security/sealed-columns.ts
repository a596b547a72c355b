import { type RawBuilder, sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'

/** One column, as the catalogue has it. */
export type Column = { readonly schema: string; readonly table: string; readonly column: string }

/** A table with sealed columns, and how its rows are told apart. */
export type SealedTable = {
  readonly schema: string
  readonly table: string
  /** Its primary key. */
  readonly key: string
  readonly columns: readonly SealedColumn[]
}

/** A sealed column, and what its values are bound to: the text of another column, or bytes written as text. */
export type SealedColumn = {
  readonly column: string
  readonly row: string
  readonly written: 'text' | 'hex' | 'base64url'
}

/** What the comments on columns say: which hold values under our keys, and which values cannot be sealed anew. */
export type Registry = {
  readonly sealed: readonly SealedTable[]
  /** Sealed with the caller's secret too, so that nobody but the caller can open and seal them anew. */
  readonly callers: readonly Column[]
  readonly indexes: readonly Column[]
}

type Commented = Column & { readonly comment: string; readonly key: readonly string[] | null }

const SEALED = /^personal: sealed(?: for (?<row>\w+)(?: in (?<written>hex|base64url))?)?$/

/**
 * Reads the registry from the database: `comment on column … is 'personal: sealed'` (bound to the primary key),
 * `'personal: sealed for request_id'`, `'personal: sealed for hash in hex'`, `"personal: sealed with the caller's secret"`,
 * `'personal: blind index'`. Throws for a comment that says less.
 */
export async function readRegistry(db: Reader): Promise<Registry> {
  const { rows } = await sql<Commented>`
    select n.nspname::text as schema, c.relname::text as "table", a.attname::text as "column",
      col_description(c.oid, a.attnum) as comment,
      (select array_agg(k.attname::text) from pg_index i join pg_attribute k on k.attrelid = c.oid and k.attnum = any(i.indkey)
        where i.indrelid = c.oid and i.indisprimary) as key
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
      and col_description(c.oid, a.attnum) ~ '^personal: (sealed|blind index)'
    order by n.nspname, c.relname, a.attnum`.execute(db)
  const callers = rows.filter(({ comment }) => comment === "personal: sealed with the caller's secret")
  const indexes = rows.filter(({ comment }) => comment === 'personal: blind index')
  const sealed = new Map<string, SealedTable & { columns: SealedColumn[] }>()
  for (const row of rows) {
    if (callers.includes(row) || indexes.includes(row)) continue
    const { schema, table, column, key, comment } = row
    const said = SEALED.exec(comment)
    if (!said || key?.length !== 1)
      throw new Error(
        `${schema}.${table}.${column} says "${comment}": rotation needs a primary key of one column, and to know the row.`,
      )
    const one = sealed.get(`${schema}.${table}`) ?? { schema, table, key: key[0] as string, columns: [] }
    const { row: bound = one.key, written = 'text' } = said.groups ?? {}
    one.columns.push({ column, row: bound, written: written as SealedColumn['written'] })
    sealed.set(`${schema}.${table}`, one)
  }
  return { sealed: [...sealed.values()], callers, indexes }
}

/** Whether anything is sealed or indexed in this database. */
export async function holdsSealedValues(db: Reader): Promise<boolean> {
  const { sealed, callers, indexes } = await readRegistry(db)
  const columns = sealed.flatMap(({ columns, ...table }) => columns.map(({ column }) => ({ ...table, column })))
  for (const { schema, table, column } of [...columns, ...callers, ...indexes]) {
    const { rows } = await sql<{ found: boolean }>`
      select exists (select from ${sql.id(schema, table)} where ${sql.id(column)} is not null) as found`.execute(db)
    if (rows[0]?.found) return true
  }
  return false
}

/** What to select of a table's sealed columns: `value0`, `row0`, `value1`, …, each value with the text that it is bound to. */
export const valuesWithRows = ({ columns }: SealedTable): RawBuilder<unknown> =>
  sql.join(
    columns.flatMap((column, at) => [
      sql`${sql.id(column.column)} as ${sql.id(`value${at}`)}`,
      sql`${rowText(column)} as ${sql.id(`row${at}`)}`,
    ]),
  )

function rowText({ row, written }: SealedColumn): RawBuilder<string> {
  if (written === 'text') return sql`${sql.id(row)}::text`
  if (written === 'hex') return sql`encode(${sql.id(row)}, 'hex')`
  return sql`translate(encode(${sql.id(row)}, 'base64'), E'+/=\n', '-_')`
}
