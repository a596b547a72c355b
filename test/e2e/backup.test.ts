import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { makeBackupKey } from '#platform/backup/key.ts'
import { testDatabase } from '../kit/database.ts'
import { type Ended, type Environment, endOf, launch, launchProgram, runToEnd } from '../kit/launch.ts'

/** `stoa backup` and `stoa restore` as an operator runs them: what they refuse, and what is left when they are broken off. */
const CLI = join(import.meta.dirname, '../../src/cli.ts')
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })
const folder = mkdtempSync(join(tmpdir(), 'stoa-backup-'))
chmodSync(folder, 0o755)
const backups = join(folder, 'backups')
mkdirSync(backups)
let database: Awaited<ReturnType<typeof testDatabase>>
let shop: Environment
let key: Awaited<ReturnType<typeof makeBackupKey>>
let made: Ended
let file: string

const stoa = (env: Environment, ...args: string[]) => runToEnd([CLI, ...args], { ...shop, ...env })
/** A new machine without a database; it has the shop's keys unless told otherwise. */
function aMachine(name: string, withKeys = true): Environment {
  const dataDir = join(folder, name)
  mkdirSync(dataDir)
  if (withKeys) copyFileSync(join(folder, 'shop/keys.json'), join(dataDir, 'keys.json'))
  return { STOA_DATA_DIR: dataDir, DATABASE_URL: '', DATABASE_OWNER_URL: '', BACKUP_KEY: key.secret }
}
const isOneLine = ({ output }: Ended) => expect(output.trim().split('\n').length, output).toBe(1)

beforeAll(async () => {
  database = await testDatabase()
  key = await makeBackupKey()
  const urls = { DATABASE_URL: database.url, DATABASE_OWNER_URL: database.ownerUrl }
  shop = { NODE_ENV: 'test', LOG_LEVEL: 'error', ...urls, STOA_DATA_DIR: join(folder, 'shop'), BACKUP_KEY: key.public }
  const catalogue = join(import.meta.dirname, '../../catalogue/sample.csv')
  const { code, output } = await stoa({}, 'import', catalogue)
  expect(code, output).toBe(0)
  made = await stoa({}, 'backup', backups)
  file = join(backups, readdirSync(backups)[0] ?? '')
})
afterAll(async () => {
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

test('a backup says what it is, that it restores, and what is needed to read it; the audit log says that it was made', async () => {
  expect(made.code, made.output).toBe(0)
  expect(made.output).toMatch(/saved +\S+\/stoa-\d{8}T\d{6}Z\.sql\.gz\.age\n/)
  expect(made.output).toMatch(/restored +all \d+ invariants hold, all \d+ sealed values open\n/)
  expect(made.output).toMatch(/needs +the secret half of BACKUP_KEY age1\S+ and ENCRYPTION_KEYS with master key 1/)
  const client = new pg.Client({ connectionString: database.ownerUrl })
  await client.connect()
  const { rows } = await client.query(`select after from platform.audit_log where action = 'backups.save'`)
  await client.end()
  expect(rows).toMatchObject([{ after: { restored: true } }])
})

test('a dry run answers whether file and keys bring the shop back, and leaves nothing', async () => {
  const { code, output } = await stoa(aMachine('dry'), 'restore', '--dry-run', file, '--json')
  expect(code, output).toBe(0)
  expect(JSON.parse(output)).toMatchObject({ violations: [], unreadable: [] })
  expect(readdirSync(join(folder, 'dry'))).toEqual(['keys.json'])
})

test('what must not be is refused in one line, before anything is made', async () => {
  const cut = join(folder, 'cut.age')
  writeFileSync(cut, readFileSync(file).subarray(0, 2_000))
  const other = await makeBackupKey()
  const refusals: [Environment, string[], RegExp][] = [
    [{ BACKUP_KEY: '' }, ['backup', backups], /BACKUP_KEY must be set/],
    [{}, ['backup', file], /is there already, and backups are not overwritten/],
    [{}, ['backup', join(folder, 'no/where')], /could not be written: ENOENT/],
    [aMachine('public', true), ['restore', join(folder, 'nowhere.age')], /is not there/],
    [{ ...aMachine('half'), BACKUP_KEY: key.public }, ['restore', file], /the half that unlocks/],
    [{ ...aMachine('wrong'), BACKUP_KEY: other.secret }, ['restore', file], /is not the key that .* was locked for/],
    [aMachine('cut'), ['restore', cut], /is not a whole backup/],
    [aMachine('keyless', false), ['restore', file], /ENCRYPTION_KEYS has another key 1 .* bring the ENCRYPTION_KEYS/],
    [{ BACKUP_KEY: key.secret }, ['restore', file], /is not empty \(\S+\), and a backup is not restored over anything/],
  ]
  for (const [env, args, said] of refusals) {
    const ended = await stoa(env, ...args)
    expect(ended.output).toMatch(said)
    expect(ended.code).toBe(1)
    isOneLine(ended)
    if (env.STOA_DATA_DIR) expect(readdirSync(env.STOA_DATA_DIR)).toEqual(['keys.json'])
  }
  expect(readdirSync(backups)).toHaveLength(1)
})

test('a disk that is full is told in one line, and the half of a backup is removed', async () => {
  const full = join(folder, 'full')
  mkdirSync(full)
  const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" "$@"`
  const args = ['-c', limited, process.execPath, CLI, 'backup', full]
  const { child, output } = launchProgram('/bin/sh', args, { env: { PATH: process.env.PATH ?? '', ...shop } })
  await new Promise((resolve) => child.once('close', resolve))
  expect(child.exitCode).toBe(1)
  expect(output()).toMatch(/could not be written: EFBIG/)
  isOneLine({ code: 1, output: output() })
  expect(readdirSync(full)).toEqual([])
})

async function until(made: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !made() && Date.now() < end; ) await pause(5)
}

test('Ctrl-C leaves nothing', async () => {
  const stopped = join(folder, 'stopped')
  mkdirSync(stopped)
  const running = launch([CLI, 'backup', stopped], shop)
  await until(() => readdirSync(stopped).length > 0)
  expect(await endOf(running.child, 'SIGINT')).toBe(1)
  expect(running.output()).toMatch(/stopped; nothing was written/)
  expect(readdirSync(stopped)).toEqual([])
})

test('a restore that is killed leaves no database, and the same command starts over', async () => {
  const machine = aMachine('killed')
  const unfinished = join(machine.STOA_DATA_DIR as string, 'pg.unfinished')
  const running = launch([CLI, 'restore', file], { ...shop, ...machine })
  await until(() => existsSync(join(unfinished, 'postmaster.pid')))
  await endOf(running.child, 'SIGKILL')
  expect(readdirSync(machine.STOA_DATA_DIR as string).sort()).toEqual(['keys.json', 'pg.unfinished'])
  const { code, output } = await stoa(machine, 'restore', file)
  expect(code, output).toBe(0)
  expect(readdirSync(machine.STOA_DATA_DIR as string).sort()).toEqual(['keys.json', 'pg'])
})

test('an empty database of yours takes it whole, and is empty again when something is wrong', async () => {
  const target = await testDatabase()
  const client = new pg.Client({ connectionString: target.ownerUrl })
  await client.connect()
  await client.query('drop schema users, catalog, orders, payments, platform, graphile_worker cascade')
  const machine = { ...aMachine('yours'), DATABASE_URL: target.url, DATABASE_OWNER_URL: target.ownerUrl }
  await client.query('create schema reports')
  await client.query('create function reports.version() returns int language sql as $$ select 1 $$')
  const schemas = async () =>
    (await client.query(`select nspname as name from pg_namespace where nspname !~ '^pg_' order by 1`)).rows.map(
      ({ name }) => name,
    )
  const before = await schemas()
  const stopped = launch([CLI, 'restore', file], { ...shop, ...machine })
  while ((await schemas()).length === before.length) await pause(5)
  expect(await endOf(stopped.child, 'SIGINT')).toBe(1)
  expect(await schemas()).toEqual(before)

  const { code, output } = await stoa(machine, 'restore', file)
  expect(code, output).toBe(0)
  const { rows } = await client.query('select count(*)::int as products from catalog.products')
  expect(rows[0].products).toBeGreaterThan(50)
  await client.end()
  await target.drop()
})
