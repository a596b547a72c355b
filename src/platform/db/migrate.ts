import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

/** Held by whoever migrates. */
export const MIGRATIONS_LOCK = 7_862_002
/** Whoever wants the table meanwhile waits behind a migration that waits for it: no longer than this, and not again at once. */
const LOCK_TIMEOUT = '300ms'
const AGAIN_MS = 700
const TRIES = 90
/** What runs without a transaction takes locks that no statement of the shop waits for: it may be patient. */
const PATIENT_LOCK_TIMEOUT = '10min'
/** A lock was not to be had in time, or a deadlock: somebody works on the table, and may be done in a moment. */
const TRY_AGAIN = new Set(['55P03', '40P01'])
/** First line of a file whose statements cannot run in a transaction (create index concurrently): each ends its line with `;`. */
const NO_TRANSACTION = /^-- no-transaction\b/

type Migration = { readonly name: string; readonly sql: string; readonly checksum: string }
type Options = {
  readonly ownerUrl: string
  readonly folder?: string
  readonly log: (line: string) => void
  /** Names and checksums: these and no others, to get a database as it was. */
  readonly only?: ReadonlyMap<string, string>
}

/** The migrations that ship with this version. */
export const migrationsFolder = fileURLToPath(new URL('../../../migrations', import.meta.url))

/**
 * Brings the database to this version and answers the names of what it applied: plain SQL files in the order of their names,
 * each once, each in a transaction that gives way to whoever holds its tables, for a minute and a half. A second starter
 * waits for the first. Indexes that an interrupted run left half built are built again. Refuses a file that was changed
 * after it was applied, and `only` those that this version does not have. Needs the owner of the database, not a superuser.
 */
export async function migrate({ ownerUrl, folder = migrationsFolder, log, only }: Options): Promise<readonly string[]> {
  const all = await readMigrations(folder)
  const migrations = only ? choose(all, only) : all
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'stoa migrate' })
  await client.connect()
  try {
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'; set statement_timeout = 0`)
    await takeTurn(client, log)
    const applied = await readApplied(client)
    const wanted = migrations.filter((migration) => !isApplied(migration, applied))
    for (const migration of wanted) {
      await applyPatiently(client, migration, log)
      log(`migrated ${migration.name}`)
    }
    await mendIndexes(client, log)
    return wanted.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

function choose(all: readonly Migration[], only: ReadonlyMap<string, string>): readonly Migration[] {
  const missing = [...only].find(
    ([name, checksum]) => !all.some((one) => one.name === name && one.checksum === checksum),
  )
  if (missing) throw new Error(`this version of Stoa has no ${missing[0]} of that text: a newer one does`)
  return all.filter(({ name }) => only.has(name))
}

/** Asks again rather than waits in the server: a statement that waits would hold up `create index concurrently`. */
async function takeTurn(client: pg.Client, log: Options['log']): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const { rows } = await client.query('select pg_try_advisory_lock($1) as mine', [MIGRATIONS_LOCK])
    if (rows[0].mine) return
    if (tries === 0) log('waiting for another process that migrates')
    await sleep(100)
  }
}

async function readApplied(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const { rowCount } = await client.query(`select where to_regclass('platform.migrations') is not null`)
  if (!rowCount) {
    await client.query(`create schema if not exists platform;
      create table platform.migrations (
        name text collate "C" primary key,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`)
  }
  const { rows } = await client.query<Migration>('select name, checksum from platform.migrations')
  return new Map(rows.map(({ name, checksum }) => [name, checksum]))
}

function isApplied({ name, checksum }: Migration, applied: ReadonlyMap<string, string>): boolean {
  const before = applied.get(name)
  if (before && before !== checksum) {
    throw new Error(
      `${name} was changed after this database had applied it: restore the file, and write a new migration`,
    )
  }
  return before !== undefined
}

async function applyPatiently(client: pg.Client, migration: Migration, log: Options['log']): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await apply(client, migration)
    } catch (error) {
      if (!TRY_AGAIN.has((error as pg.DatabaseError).code ?? '') || tries === TRIES) {
        throw new Error(`${migration.name} failed: ${(error as Error).message}`, { cause: error })
      }
      if (tries === 1) log(`${migration.name} waits for a lock (${(error as Error).message})`)
      await sleep(AGAIN_MS)
    }
  }
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  const record = () =>
    client.query('insert into platform.migrations (name, checksum) values ($1, $2)', [name, checksum])
  if (NO_TRANSACTION.test(sql)) {
    await client.query(`set lock_timeout = '${PATIENT_LOCK_TIMEOUT}'`)
    for (const statement of sql.split(/;[ \t]*$/m)) if (statement.trim()) await client.query(statement)
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`)
    await record()
    return
  }
  await client.query('begin')
  try {
    await client.query(sql)
    await record()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

/**
 * Builds indexes again whose building was interrupted: PostgreSQL keeps them up to date, and uses them for nothing. What an
 * interrupted mending left beside its index goes.
 */
async function mendIndexes(client: pg.Client, log: Options['log']): Promise<void> {
  const { rows } = await client.query<{ name: string; isLeft: boolean }>(
    `select indexrelid::regclass::text as name, relname ~ '_cc(new|old)[0-9]*$' as "isLeft"
     from pg_index join pg_class c on c.oid = indexrelid
     where not indisvalid and c.relkind = 'i' and pg_has_role(c.relowner, 'usage')
       and c.relnamespace::regnamespace::text !~ '^pg_'`,
  )
  if (rows.length > 0) await client.query(`set lock_timeout = '${PATIENT_LOCK_TIMEOUT}'`)
  for (const { name, isLeft } of rows) {
    await client.query(isLeft ? `drop index concurrently ${name}` : `reindex index concurrently ${name}`)
    log(`${isLeft ? 'removed' : 'built again'}: the index ${name}, which an interrupted run had left half built`)
  }
}
