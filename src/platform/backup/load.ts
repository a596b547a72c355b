import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { migrate } from '#platform/db/migrate.ts'
import { boundRole } from '#platform/db/roles.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'
import type { MasterKey } from '#platform/security/master-keys.ts'
import { unwrap } from '#platform/security/master-keys.ts'
import { columnsOf, copyOut, type Head, nameOf, nameOfSequence, openCopier, readHead } from './contents.ts'
import type { Script } from './script.ts'

type Target = { readonly ownerUrl: string; readonly appUrl: string }

/** Throws one line that names ENCRYPTION_KEYS unless these master keys open every data key of a backup. */
export function checkKeys({ dataKeys }: Head, masterKeys: readonly MasterKey[]): void {
  for (const { wrapped, ...key } of dataKeys) {
    try {
      unwrap(masterKeys, { ...key, wrapped: Buffer.from(wrapped, 'hex') })
    } catch (error) {
      throw new Error(
        `${(error as Error).message} Without it nobody can read the personal data: bring the ENCRYPTION_KEYS, or the keys.json, of the shop that was backed up.`,
      )
    }
  }
}

/**
 * Fills an empty database with a backup and brings it to this version; answers how many rows that were. The migrations that the
 * backup had make the tables; one transaction brings all rows, and is committed only when they read back as they were saved.
 * Refuses a backup of a later version, and a database that a process of the shop has begun to use.
 */
export async function loadDatabase(script: Script, target: Target, signal: AbortSignal): Promise<number> {
  const { appUrl, ownerUrl } = target
  await makeTables(script.head, ownerUrl)
  const rows = await loadRows(script, ownerUrl, signal)
  await migrate({ ownerUrl, log: () => {} })
  await migrateJobs(ownerUrl)
  await boundRole(appUrl, ownerUrl)
  return rows
}

async function loadRows(script: Script, ownerUrl: string, signal: AbortSignal): Promise<number> {
  const { head } = script
  const client = await openCopier(ownerUrl)
  const stop = () => void client.end()
  signal.addEventListener('abort', stop, { once: true })
  try {
    checkShape(head, await readHead(client))
    await client.query('begin')
    const restoreRules = await suspendRules(client, head)
    for (const table of head.tables) {
      const rows = Readable.from(script.rows(table), { objectMode: false })
      await pipeline(rows, client.query(copyFrom(`copy ${nameOf(table)} (${columnsOf(table)}) from stdin`)), { signal })
    }
    const digests = await script.tail()
    for (const sequence of head.sequences)
      await client.query('select setval($1::regclass, $2)', [nameOfSequence(sequence), sequence.last])
    await restoreRules()
    await compare(client, head, digests)
    await client.query('commit')
    await client.query(`analyze ${head.tables.map(nameOf).join(', ')}`)
    return digests.reduce((sum, { rows }) => sum + rows, 0)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', stop)
    await client.end()
  }
}

/** Exactly the migrations that the backup had: later ones change what its rows fit into. */
async function makeTables({ migrations, jobs }: Head, ownerUrl: string): Promise<void> {
  const only = new Map(migrations.map(({ name, checksum }) => [name, checksum]))
  await migrate({ ownerUrl, only, log: () => {} })
  if (jobs !== null) await migrateJobs(ownerUrl)
}

function checkShape(head: Head, made: Head): void {
  if (head.jobs !== made.jobs)
    throw new Error(
      `the backup's job queue has version ${head.jobs}, and this Stoa's ${made.jobs}: restore it with the Stoa of ${head.takenAt}, then update that`,
    )
  const shapeOf = ({ tables }: Head) =>
    new Map(tables.map((table) => [nameOf(table), [...table.columns].sort().join(', ')]))
  const [saved, here] = [shapeOf(head), shapeOf(made)]
  for (const table of new Set([...saved.keys(), ...here.keys()]))
    if (saved.get(table) !== here.get(table))
      throw new Error(
        `${table} is ${!here.has(table) ? 'in the backup, and no migration makes it' : !saved.has(table) ? 'not in the backup' : 'another table in the backup than the migrations make: its columns differ'}`,
      )
}

/** Takes away what would look at each row by itself, foreign keys and triggers; what it answers brings them back, and has every row looked at. */
async function suspendRules(client: pg.Client, { tables }: Head): Promise<() => Promise<void>> {
  const names = tables.map(nameOf)
  const { rows } = await client.query<{ suspend: string; restore: string }>(
    `select format('alter table %s drop constraint %I', conrelid::regclass, conname) as suspend,
       format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as restore
     from pg_constraint where contype = 'f' and conrelid = any($1::text[]::regclass[])
     union all
     select distinct format('alter table %s disable trigger user', tgrelid::regclass), format('alter table %s enable trigger user', tgrelid::regclass)
     from pg_trigger where not tgisinternal and tgrelid = any($1::text[]::regclass[])`,
    [names],
  )
  const run = async (statements: readonly string[]) => {
    for (const statement of statements) await client.query(statement)
  }
  await run(rows.map(({ suspend }) => suspend))
  await client.query(`lock table ${names.join(', ')} in access exclusive mode`)
  const { rowCount } = await client.query('select from platform.data_keys limit 1')
  if (rowCount) throw new Error('a process of the shop began to use this database meanwhile: stop all of them first')
  await client.query(`truncate ${names.join(', ')}`)
  return () => run(rows.map(({ restore }) => restore))
}

async function compare(client: pg.Client, { tables }: Head, digests: Awaited<ReturnType<Script['tail']>>) {
  for (const [at, table] of tables.entries()) {
    const rows = copyOut(client, table)
    let next = await rows.next()
    while (!next.done) next = await rows.next()
    const [saved, found] = [digests[at], next.value]
    if (saved?.sha256 !== found.sha256)
      throw new Error(`${nameOf(table)} came out otherwise than it was saved: ${found.rows} rows for ${saved?.rows}`)
  }
}
