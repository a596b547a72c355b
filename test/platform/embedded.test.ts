import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { locateEmbedded, type RunningEmbedded, startEmbedded } from '#platform/db/embedded.ts'

const holder = fileURLToPath(new URL('../kit/hold-embedded.ts', import.meta.url))
let dataDir: string
let started: RunningEmbedded[]
let children: ChildProcess[]
const lines: string[] = []

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'stoa-embedded-'))
})
afterAll(() => rm(dataDir, { recursive: true, force: true }))
beforeEach(() => {
  started = []
  children = []
  lines.length = 0
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(started.map((embedded) => embedded.stop()))
})

async function start(): Promise<RunningEmbedded> {
  const embedded = await startEmbedded({ dataDir, log: (line) => lines.push(line) })
  started.push(embedded)
  return embedded
}

/** Another process that starts the database and keeps it. */
async function startElsewhere(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  expect(String((await once(child.stdout!, 'data'))[0])).toBe('ready\n')
  return child
}

async function ask(url: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(statement).finally(() => client.end())
  return Object.values(rows[0] ?? {})[0]
}

const serverPid = async () => Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0])
/** A process that nobody waits for stays in the list as a zombie. */
const isAlive = (pid: number) =>
  /^[^Z]/.test(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim())
const pidFile = () => readFile(join(dataDir, 'postmaster.pid')).catch(() => null)

test('starts, keeps what was written, starts again within 3 s, and is found by other processes', async () => {
  const first = await start()
  expect(await ask(first.ownerUrl, 'create table public.kept as select 7 as n')).toBeUndefined()
  expect(await ask(first.appUrl, 'select current_user')).toBe('stoa_app')
  expect(await locateEmbedded(dataDir)).toEqual({ ownerUrl: first.ownerUrl, appUrl: first.appUrl, dataDir })
  await first.stop()
  expect(await pidFile()).toBeNull()
  expect(await locateEmbedded(dataDir)).toBeNull()
  const before = performance.now()
  const second = await start()
  expect(performance.now() - before).toBeLessThan(3_000)
  expect(await ask(second.ownerUrl, 'select n from public.kept')).toBe(7)
})

test('is durable, UTF-8, and reachable by its socket alone', async () => {
  const embedded = await start()
  const settings = `select string_agg(name || '=' || setting, ' ' order by name) from pg_settings
    where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'server_encoding')`
  expect(await ask(embedded.appUrl, settings)).toBe(
    'fsync=on full_page_writes=on listen_addresses= server_encoding=UTF8 synchronous_commit=on',
  )
  expect(await ask(embedded.appUrl, `select upper('crème')`)).toBe('CRÈME')
})

test('ends with its owner, killed with -9, and starts again', async () => {
  const owner = await startElsewhere()
  const pid = await serverPid()
  owner.kill('SIGKILL')
  await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false)
  expect(await pidFile()).toBeNull()
  await start()
})

test('ends with its owner on SIGTERM', async () => {
  const owner = await startElsewhere()
  const pid = await serverPid()
  owner.kill('SIGTERM')
  expect(await once(owner, 'exit')).toEqual([0, null])
  expect(isAlive(pid)).toBe(false)
})

test('a second start on the same folder is told whose it is, and the first goes on', async () => {
  const owner = await startElsewhere()
  await expect(start()).rejects.toThrow(`is running already (process ${owner.pid})`)
  expect(await ask((await locateEmbedded(dataDir))!.appUrl, 'select 1')).toBe(1)
})

test('an orphan, whose owner and supervisor were both killed, is stopped and replaced', async () => {
  const owner = await startElsewhere()
  const pid = await serverPid()
  const supervisor = Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' }))
  const watchers = execFileSync('ps', ['-o', 'pid=', '--ppid', String(supervisor)], { encoding: 'utf8' })
  for (const watcher of watchers.split('\n').map(Number))
    if (watcher && watcher !== pid) process.kill(watcher, 'SIGKILL')
  process.kill(supervisor, 'SIGKILL')
  owner.kill('SIGKILL')
  await once(owner, 'exit')
  expect(isAlive(pid)).toBe(true)
  await start()
  expect(lines).toContain(`stopping PostgreSQL ${pid}, which a killed shop left behind`)
  expect(isAlive(pid)).toBe(false)
})

test('the pid file of a dead server, or of a process id used again by another program, does not stop a start', async () => {
  const { uid, gid } = await stat(dataDir)
  for (const pid of [process.pid, 4_000_000]) {
    const file = join(dataDir, 'postmaster.pid')
    await writeFile(file, `${pid}\n${dataDir}\n1700000000\n5432\n/tmp\n\n`, { mode: 0o600 })
    await chown(file, uid, gid)
    await (await start()).stop()
  }
})

test('of two first starts at once on one folder one wins, and the other is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stoa-embedded-'))
  const both = await Promise.allSettled([1, 2].map(() => startEmbedded({ dataDir: folder, log: () => {} })))
  for (const one of both) if (one.status === 'fulfilled') await one.value.stop()
  expect(both.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(String(both.find((one) => one.status === 'rejected')?.reason)).toContain('is running already')
  await rm(folder, { recursive: true })
})

test('a killed server comes back with what it had committed', async () => {
  const first = await start()
  await ask(first.ownerUrl, 'create table public.killed as select 8 as n')
  process.kill(await serverPid(), 'SIGKILL')
  await first.stop()
  const second = await start()
  expect(await ask(second.ownerUrl, 'select n from public.killed')).toBe(8)
})

test('a folder that holds something else is left alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stoa-embedded-'))
  await writeFile(join(folder, 'letter.txt'), 'dear')
  await expect(startEmbedded({ dataDir: folder, log: () => {} })).rejects.toThrow('is neither empty nor a database')
  await rm(folder, { recursive: true })
})
