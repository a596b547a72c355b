import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { findBinaries } from '#platform/db/embedded-binaries.ts'
import { initialise } from '#platform/db/embedded-server.ts'
import { migrate } from '#platform/db/migrate.ts'
import { boundRole, makeShopDatabase } from '#platform/db/roles.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'
import { freePort } from './free-port.ts'
import { endOf, isGone, type Launched, launchProgram } from './launch.ts'
import type { DatabaseUrls } from './processes.ts'

const READY_MS = 30_000
const DATABASE = 'stoa'
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '300',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  jit: 'off',
}

/** A PostgreSQL of a test's own, on disk as a shop's is, with a migrated shop in it. */
export type TestPostgres = DatabaseUrls & {
  /** As its superuser. */
  readonly adminUrl: string
  /** All its processes die at once, as in a crash of the machine's memory: nothing is written any more. */
  kill(): Promise<void>
  /** Stops all its processes in their tracks: connections stay open, and silent. */
  hang(): void
  resume(): void
  /** Ends it in order, as an operator does: connections are cut. */
  end(): Promise<void>
  /** Starts it again on its port and its data; resolves when it takes connections. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>
  /** Runs one statement as the superuser, in the shop's database. */
  query(text: string, values?: unknown[]): Promise<any[]>
  /** Ends it and removes what it kept. */
  stop(): Promise<void>
}

/** Starts a PostgreSQL on a free port in a folder of its own; it ends with the process that started it. */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<TestPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-pg-'))
  rmdirSync(dataDir)
  process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  const binaries = await findBinaries()
  await initialise(binaries, { dataDir, log: () => {} })
  const port = await freePort()
  const urlOf = (role: string, database = DATABASE) => `postgres://${role}@127.0.0.1:${port}/${database}`
  let running: Launched | undefined
  const processes = () => (running?.child.pid ? [running.child.pid, ...childrenOf(running.child.pid)] : [])
  const signal = (name: NodeJS.Signals) => {
    for (const pid of processes())
      try {
        process.kill(pid, name)
      } catch {
        // It has ended meanwhile.
      }
  }
  const query = async (text: string, values?: unknown[]) => {
    const client = new pg.Client({ connectionString: urlOf('postgres') })
    await client.connect()
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }
  const server: TestPostgres = {
    url: urlOf('stoa_app'),
    ownerUrl: urlOf('stoa_owner'),
    adminUrl: urlOf('postgres'),
    query,
    kill: async () => {
      // One that it forked meanwhile would keep its memory in use, and no other could start.
      running?.child.kill('SIGSTOP')
      const all = processes()
      signal('SIGKILL')
      if (running) await endOf(running.child, 'SIGKILL')
      while (all.some(isAlive)) await pause(5)
    },
    hang: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    end: async () => {
      signal('SIGCONT')
      if (running) await endOf(running.child, 'SIGINT')
    },
    start: async (more = {}) => {
      const flags = Object.entries({ ...SETTINGS, ...settings, ...more, port: String(port) })
      const started = launchProgram(
        binaries.postgres,
        ['-D', dataDir, ...flags.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
        { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }, cwd: dataDir, ...binaries.runAs },
      )
      running = started
      await takesConnections(urlOf('postgres', 'postgres'), started)
    },
    stop: async () => {
      await server.end()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
  await server.start()
  await makeShop(urlOf('postgres', 'postgres'), server)
  return server
}

async function makeShop(adminUrl: string, { url, ownerUrl }: DatabaseUrls): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await makeShopDatabase(admin, DATABASE).finally(() => admin.end())
  await migrate({ ownerUrl, log: () => {} })
  await migrateJobs(ownerUrl)
  await boundRole(url, ownerUrl)
}

/** PostgreSQL gives each of its processes a group of its own: they are known by their parent. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statOf(pid).parent === parent)
}

const isAlive = (pid: number): boolean => !['', 'Z', 'X'].includes(statOf(pid).state)

function statOf(pid: number): { state: string; parent: number } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return { state: '', parent: 0 }
  }
}

/** Waits until a PostgreSQL takes connections; fails with what it printed when it ends first or takes too long. */
export async function takesConnections(url: string, { child, output }: Launched): Promise<void> {
  for (const until = Date.now() + READY_MS; Date.now() < until; await pause(20)) {
    if (isGone(child)) throw new Error(`PostgreSQL ended:\n${output()}`)
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
    const connected = await client.connect().then(
      () => true,
      () => false,
    )
    await client.end().catch(() => {})
    if (connected) return
  }
  throw new Error(`PostgreSQL does not take connections:\n${output()}`)
}
