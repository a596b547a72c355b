import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { migrate } from '#platform/db/migrate.ts'
import { boundRole } from '#platform/db/roles.ts'
import { prepare } from '../../src/cli/connect.ts'
import type { Config } from '../../src/config.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'

let database: TestDatabase
let owner: pg.Client
let folder: string

beforeAll(async () => {
  database = await testDatabase()
  owner = new pg.Client({ connectionString: database.ownerUrl })
  await owner.connect()
})
afterAll(async () => {
  await owner?.end()
  await database?.drop()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stoa-migrations-'))
  await owner.query('drop schema if exists probe cascade; create schema probe; delete from platform.migrations')
  return () => rm(folder, { recursive: true })
})

const write = (name: string, sql: string) => writeFile(join(folder, name), sql)
const run = (log: (line: string) => void = () => {}) => migrate({ ownerUrl: database.ownerUrl, folder, log })
const tables = async () =>
  (await owner.query(`select relname from pg_class where relnamespace = 'probe'::regnamespace order by 1`)).rows.map(
    (row) => row.relname,
  )

test('files are applied in the order of their names, each once', async () => {
  await write('0002_b.sql', 'alter table probe.a add column b int')
  await write('0001_a.sql', 'create table probe.a (id int)')
  expect(await run()).toEqual(['0001_a.sql', '0002_b.sql'])
  expect(await run()).toEqual([])
  await write('0003_c.sql', 'create table probe.c (id int)')
  expect(await run()).toEqual(['0003_c.sql'])
})

test('a file that was changed after it was applied is refused, and nothing else is applied', async () => {
  await write('0001_a.sql', 'create table probe.a (id int)')
  await run()
  await write('0001_a.sql', 'create table probe.a (id bigint)')
  await write('0002_b.sql', 'create table probe.b (id int)')
  await expect(run()).rejects.toThrow('0001_a.sql was changed after this database had applied it')
  expect(await tables()).toEqual(['a'])
})

test('a file that fails half-way leaves nothing, and names itself', async () => {
  await write('0001_a.sql', 'create table probe.a (id int); create table probe.a (id int)')
  await expect(run()).rejects.toThrow('0001_a.sql failed: relation "a" already exists')
  expect(await tables()).toEqual([])
})

test('of two starters at once one applies, the other waits and finds it done', async () => {
  await write('0001_a.sql', 'create table probe.a (id int); select pg_sleep(0.3)')
  const lines: string[] = []
  const applied = await Promise.all([run((line) => lines.push(line)), run((line) => lines.push(line))])
  expect(applied.flat()).toEqual(['0001_a.sql'])
  expect(lines).toContain('waiting for another process that migrates')
})

test('a file without a transaction builds an index concurrently, also while another starter waits', async () => {
  await write('0001_a.sql', 'create table probe.a (id int, b int)')
  await write(
    '0002_index.sql',
    '-- no-transaction\ncreate index concurrently a_id on probe.a (id);\ncreate index concurrently a_b on probe.a (b);\n',
  )
  const applied = await Promise.all([run(), run()])
  expect(applied.flat()).toEqual(['0001_a.sql', '0002_index.sql'])
  expect(await tables()).toEqual(['a', 'a_b', 'a_id'])
})

test('a migration gives way to whoever holds its table, and tries again', async () => {
  await write('0001_a.sql', 'create table probe.a (id int)')
  await run()
  await write('0002_b.sql', 'alter table probe.a add column b int')
  await owner.query('begin; lock table probe.a in access share mode')
  const lines: string[] = []
  const running = run((line) => lines.push(line))
  await expect.poll(() => lines.join(), { timeout: 10_000 }).toContain('0002_b.sql waits for a lock')
  await owner.query('commit')
  expect(await running).toEqual(['0002_b.sql'])
})

test('the service has time-outs and no DDL', async () => {
  expect(await boundRole(database.url, database.ownerUrl)).toMatchObject({ separate: true })
  const app = new pg.Client({ connectionString: database.url })
  await app.connect()
  try {
    const { rows } = await app.query(
      `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
         current_setting('idle_in_transaction_session_timeout') as idle`,
    )
    expect(rows).toEqual([{ statement: '15s', lock: '2s', idle: '15s' }])
    await expect(app.query('create table public.mine (id int)')).rejects.toThrow('permission denied')
    await expect(app.query('create schema mine')).rejects.toThrow('permission denied')
  } finally {
    await app.end()
  }
})

test('one role for everything is said to be one; a role that has no rights is refused', async () => {
  const other = new URL(database.ownerUrl)
  other.username = 'somebody'
  await expect(boundRole(database.ownerUrl, other.href)).rejects.toThrow('connects as stoa_owner')
  expect(await boundRole(database.ownerUrl, database.ownerUrl)).toMatchObject({ separate: false })
})

test('a database that forgets in a crash is refused in production, and told of elsewhere', async () => {
  const { url, ownerUrl, drop } = await testDatabase()
  const app = new pg.Client({ connectionString: url })
  await app.connect()
  await app.query(`alter role stoa_app in database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
  await app.end()
  const lines: string[] = []
  const start = (production: boolean) =>
    prepare({ appUrl: url, ownerUrl, place: 'here', close: async () => {} }, { production } as Config, (line) =>
      lines.push(line),
    )
  await expect(start(true)).rejects.toThrow('synchronous_commit=off; turn that on')
  await start(false)
  expect(lines.join()).toContain('synchronous_commit=off')
  await drop()
})
