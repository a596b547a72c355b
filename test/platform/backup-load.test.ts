import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Head, openCopier } from '#platform/backup/contents.ts'
import { loadDatabase } from '#platform/backup/load.ts'
import { saveDatabase } from '#platform/backup/save.ts'
import { readScript } from '#platform/backup/script.ts'
import { migrate, migrationsFolder } from '#platform/db/migrate.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'

/** From one database into another, without a file between them. */
let from: TestDatabase
let into: TestDatabase
beforeEach(async () => {
  ;[from, into] = [await testDatabase(), await emptyDatabase()]
})
afterEach(() => Promise.all([from.drop(), into.drop()]))

const SHOP = 'drop schema users, catalog, orders, payments, platform, graphile_worker cascade'
async function query(url: string, text: string): Promise<any[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return (await client.query(text).finally(() => client.end())).rows
}
async function emptyDatabase(): Promise<TestDatabase> {
  const made = await testDatabase()
  await query(made.ownerUrl, SHOP)
  return made
}

async function save(change: (head: Head) => Head = (head) => head): Promise<Buffer[]> {
  const saving = await saveDatabase(from.ownerUrl, () => {})
  const parts: Buffer[] = []
  for await (const part of saving.parts) parts.push(part)
  await saving.close()
  parts[0] = Buffer.from(`-- stoa backup 1 ${JSON.stringify(change(saving.head))}\n`)
  return parts
}
async function load(parts: Buffer[]): Promise<number> {
  const pieces = async function* () {
    yield* parts
  }
  const target = { ownerUrl: into.ownerUrl, appUrl: into.url }
  return loadDatabase(await readScript(pieces()), target, new AbortController().signal)
}
const migrationsOf = async (url: string) =>
  (await query(url, 'select name from platform.migrations order by name')).map(({ name }) => name)

/** Events whose every text is one that COPY must escape. */
const insertAwkwardEvents = (url: string) =>
  query(
    url,
    `insert into platform.events (type, subject, data, request_id, occurred_at)
     select 'kept.v1', E'a\\tb\\nc\\\\.\\r', jsonb_build_object('n', 1e300, 'text', E'\\\\.\\n"\\u00e9'), E'\\\\N', '2026-02-28T23:59:59.999999+14'
     from generate_series(1, 3)`,
  )

test('all rows come out as they went in, whatever is in them, and numbers go on where they were', async () => {
  await insertAwkwardEvents(from.ownerUrl)
  const rows = 'select id, type, subject, data, request_id, occurred_at from platform.events order by id'
  expect(await load(await save())).toBeGreaterThan(3)
  expect(await query(into.ownerUrl, rows)).toEqual(await query(from.ownerUrl, rows))
  await insertAwkwardEvents(into.ownerUrl)
  expect((await query(into.ownerUrl, 'select max(id)::int as last from platform.events'))[0].last).toBe(6)
  const rules = `select conrelid::regclass::text as table, conname, pg_get_constraintdef(oid) as rule, convalidated from pg_constraint
    where contype = 'f' order by 1, 2`
  expect(await query(into.ownerUrl, rules)).toEqual(await query(from.ownerUrl, rules))
  const triggers = `select tgrelid::regclass::text as table, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2`
  expect(await query(into.ownerUrl, triggers)).toEqual(await query(from.ownerUrl, triggers))
})

test('a backup of an older version is restored as it was, and then brought to this one', async () => {
  await query(from.ownerUrl, SHOP)
  const names = readdirSync(migrationsFolder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
  const checksum = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(migrationsFolder, name)))
      .digest('hex')
  const older = names.slice(0, -3)
  await migrate({ ownerUrl: from.ownerUrl, only: new Map(older.map((name) => [name, checksum(name)])), log: () => {} })
  await migrateJobs(from.ownerUrl)
  await insertAwkwardEvents(from.ownerUrl)
  const parts = await save()
  expect(await migrationsOf(from.ownerUrl)).toEqual(older)
  await load(parts)
  expect(await migrationsOf(into.ownerUrl)).toEqual(names)
})

test('a backup of a newer version is refused by the name of what is missing here', async () => {
  const newer = { name: '9999_later.sql', checksum: randomBytes(32).toString('hex') }
  const parts = await save((head) => ({ ...head, migrations: [...head.migrations, newer] }))
  await expect(load(parts)).rejects.toThrow('this version of Stoa has no 9999_later.sql')
})

test('tables that the migrations do not make, or not so, stop a restore; those in public are named and left out', async () => {
  await query(from.ownerUrl, 'create schema reports; create table reports.daily (n int)')
  await expect(load(await save())).rejects.toThrow('"reports"."daily" is in the backup, and no migration makes it')
  await into.drop()
  into = await emptyDatabase()
  await query(from.ownerUrl, 'drop schema reports cascade; alter table catalog.products add column mine int')
  await expect(load(await save())).rejects.toThrow('"catalog"."products" is another table')
  await query(from.ownerUrl, 'alter table catalog.products drop column mine; create table public.mine (n int)')
  const saving = await saveDatabase(from.ownerUrl, () => {})
  await saving.close()
  expect(saving.head.leftOut).toEqual(['public.mine'])
})

test('rows that differ from what was saved are not committed', async () => {
  const parts = await save()
  const at = parts.findIndex((part) => part.toString().startsWith('copy "platform"."consumed"'))
  const one = Buffer.from('nobody\t7\t2026-11-25 00:00:00+00\n')
  await expect(load(parts.toSpliced(at + 1, 0, one))).rejects.toThrow('"platform"."consumed" came out otherwise')
  expect(await query(into.ownerUrl, 'select from platform.consumed')).toEqual([])
})

test('a database that a process of the shop has begun to use is not overwritten', async () => {
  const parts = await save()
  await migrate({ ownerUrl: into.ownerUrl, log: () => {} })
  await query(
    into.ownerUrl,
    `insert into platform.data_keys (id, purpose, wrapped, created_at) values (1, 'index', '\\x00', now())`,
  )
  await expect(load(parts)).rejects.toThrow('a process of the shop began to use this database meanwhile')
  expect(await query(into.ownerUrl, 'select id from platform.data_keys')).toEqual([{ id: 1 }])
})

test('a migration that is under way is waited for', async () => {
  const migrating = await openCopier(from.ownerUrl)
  await migrating.query('select pg_advisory_lock(7862002)')
  let saved = false
  const saving = saveDatabase(from.ownerUrl, () => {}).then((one) => {
    saved = true
    return one
  })
  await expect
    .poll(() =>
      query(
        from.ownerUrl,
        `select from pg_stat_activity where application_name = 'stoa backup' and wait_event = 'advisory'`,
      ),
    )
    .toHaveLength(1)
  expect(saved).toBe(false)
  await migrating.end()
  await (await saving).close()
})
