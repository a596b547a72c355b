import { createHash } from 'node:crypto'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import type { WrappedKey } from '#platform/security/master-keys.ts'

/** A table, and the columns whose values are kept: those that PostgreSQL computes are not. */
export type Table = { readonly schema: string; readonly table: string; readonly columns: readonly string[] }

/** A sequence that has given numbers out, and the last of them. */
export type Sequence = { readonly schema: string; readonly sequence: string; readonly last: string }

/** What a table came to: the same rows in the same order have the same digest. */
export type Digest = { readonly rows: number; readonly sha256: string }

/** What a backup begins with: everything that must fit before a row of it is read. */
export type Head = {
  readonly takenAt: string
  readonly postgres: string
  readonly migrations: readonly { readonly name: string; readonly checksum: string }[]
  /** The version of the job queue's own tables; null where they were never made. */
  readonly jobs: number | null
  readonly dataKeys: readonly (Omit<WrappedKey, 'wrapped'> & { readonly wrapped: string })[]
  readonly tables: readonly Table[]
  readonly sequences: readonly Sequence[]
  /** Tables of `public`, which are somebody else's: not kept. */
  readonly leftOut: readonly string[]
}

/** So that a value is written in one way whatever the server, the role or the database is set to; and nothing times out. */
const SESSION = `set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 3;
  set bytea_output = 'hex'; set client_encoding = 'UTF8'; set synchronize_seqscans = off; set statement_timeout = 0;
  set lock_timeout = 0; set idle_in_transaction_session_timeout = 0`

/** Opens a connection that copies. */
export async function openCopier(ownerUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'stoa backup' })
  client.on('error', () => {})
  await client.connect()
  await client.query(SESSION)
  return client
}

const name = (...parts: readonly string[]) => parts.map((part) => pg.escapeIdentifier(part)).join('.')

export const nameOf = ({ schema, table }: Pick<Table, 'schema' | 'table'>): string => name(schema, table)
export const nameOfSequence = ({ schema, sequence }: Pick<Sequence, 'schema' | 'sequence'>): string =>
  name(schema, sequence)
export const columnsOf = ({ columns }: Table): string => columns.map((column) => name(column)).join(', ')

/** A table's rows as PostgreSQL's COPY writes them (text), and at the end what they came to. */
export async function* copyOut(client: pg.Client, table: Table): AsyncGenerator<Buffer, Digest> {
  const hash = createHash('sha256')
  let rows = 0
  const stream = client.query(copyTo(`copy ${nameOf(table)} (${columnsOf(table)}) to stdout`))
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk)
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows += 1
    yield chunk
  }
  return { rows, sha256: hash.digest('hex') }
}

/**
 * Every table that lasts, in every schema but `public`, and what else a backup needs to know. The bookkeeping of the job
 * queue's own migrations is the version that its tables have, not a content.
 */
export async function readHead(client: pg.Client): Promise<Head> {
  const { rows: tables } = await client.query<Table & { extensions: boolean }>(
    `select n.nspname as schema, c.relname as "table", array(
       select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = ''
       order by attnum) as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and (n.nspname, c.relname) <> ('graphile_worker', 'migrations')
       and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')
     order by n.nspname collate "C", c.relname collate "C"`,
  )
  const { rows: sequences } = await client.query<Sequence>(
    `select schemaname as schema, sequencename as sequence, last_value::text as last from pg_sequences
     where schemaname <> 'public' and last_value is not null order by schemaname collate "C", sequencename collate "C"`,
  )
  const { rows: facts } = await client.query(
    `select to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "takenAt", current_setting('server_version') as postgres,
       (select json_agg(json_build_object('name', name, 'checksum', checksum) order by name) from platform.migrations) as migrations,
       (select coalesce(json_agg(json_build_object('id', id, 'purpose', purpose, 'wrapped', encode(wrapped, 'hex')) order by id), '[]')
        from platform.data_keys) as "dataKeys"`,
  )
  const isPublic = ({ schema }: Table) => schema === 'public'
  return {
    ...facts[0],
    jobs: await readJobsVersion(client),
    tables: tables.filter((table) => !isPublic(table)),
    sequences,
    leftOut: tables.filter(isPublic).map(({ schema, table }) => `${schema}.${table}`),
  }
}

async function readJobsVersion(client: pg.Client): Promise<number | null> {
  const { rowCount } = await client.query(`select where to_regclass('graphile_worker.migrations') is not null`)
  if (!rowCount) return null
  const { rows } = await client.query('select max(id) as version from graphile_worker.migrations')
  return rows[0].version
}
