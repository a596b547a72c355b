import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findBinaries } from './embedded-binaries.ts'
import {
  disownPidFile,
  initialise,
  isServer,
  lastLine,
  type Options,
  readPidFile,
  type Server,
  STOP_MS,
  socketFolder,
  spawnServer,
  stopServer,
} from './embedded-server.ts'
import { makeShopDatabase } from './roles.ts'

const HEAL_MS = 5_000
const DATABASE = 'stoa'
/** Held by the process that a running server belongs to: a server without a holder is an orphan. */
const OWNERSHIP_LOCK = 7_862_001

export type Embedded = { readonly ownerUrl: string; readonly appUrl: string; readonly dataDir: string }
export type RunningEmbedded = Embedded & {
  /** Settles when the server has ended, asked to or not. */
  readonly ended: Promise<unknown>
  stop(): Promise<void>
}

/**
 * Starts a PostgreSQL of our own on a unix socket, made on first use, that ends with this process however that ends. Heals
 * what a kill -9 leaves behind. Refuses a data folder whose server belongs to another live process.
 */
export async function startEmbedded(options: Options): Promise<RunningEmbedded> {
  const { dataDir, log } = options
  const binaries = await findBinaries()
  await initialise(binaries, options)
  const sockets = await socketFolder(dataDir, binaries)
  const until = Date.now() + HEAL_MS
  for (;;) {
    await takeOver(dataDir, log)
    const server = await spawnServer(binaries, sockets, options)
    const holder = await whenReady(server, dataDir, sockets)
    if (holder) return hold(server, holder, dataDir, sockets)
    if (Date.now() > until) throw new Error(`PostgreSQL did not start: ${await lastLine(dataDir)}`)
    await sleep(200)
  }
}

async function hold(server: Server, holder: pg.Client, dataDir: string, sockets: string): Promise<RunningEmbedded> {
  holder.on('error', () => {})
  const ended = once(server.shell, 'exit')
  const stop = async () => {
    await holder.end().catch(() => {})
    await stopServer(server)
    await rm(sockets, { recursive: true, force: true })
  }
  try {
    await holder.query('select pg_advisory_lock($1)', [OWNERSHIP_LOCK])
    await makeShopDatabase(holder, DATABASE)
  } catch (error) {
    await stop()
    throw error
  }
  let stopped: Promise<void> | undefined
  return { ...urls(sockets), dataDir, ended, stop: () => (stopped ??= stop()) }
}

/** The database of the shop that is running on this data folder now; null when none is. */
export async function locateEmbedded(dataDir: string): Promise<Embedded | null> {
  const running = await readPidFile(dataDir)
  if (!running || !(await isServer(running.pid, dataDir))) return null
  const client = await connect(running.sockets, 'stoa_app', DATABASE).catch(() => null)
  await client?.end()
  return client && { ...urls(running.sockets), dataDir }
}

const url = (sockets: string, role: string, database: string) =>
  `postgres://${role}@${encodeURIComponent(sockets)}/${database}`

const urls = (sockets: string) => ({
  ownerUrl: url(sockets, 'stoa_owner', DATABASE),
  appUrl: url(sockets, 'stoa_app', DATABASE),
})

async function connect(sockets: string, role: string, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url(sockets, role, database),
    application_name: `stoa ${process.pid}`,
    connectionTimeoutMillis: HEAL_MS,
  })
  await client.connect()
  return client
}

/** Leaves no server on the data folder: waits for one that is stopping, stops an orphan, forgets a dead one. */
async function takeOver(dataDir: string, log: Options['log']): Promise<void> {
  const until = Date.now() + STOP_MS
  let unowned = 0
  for (let running = await readPidFile(dataDir); running; running = await readPidFile(dataDir)) {
    if (!(await isServer(running.pid, dataDir))) return disownPidFile(dataDir)
    if (Date.now() > until) throw new Error(`PostgreSQL ${running.pid} on ${dataDir} does not stop`)
    const owner = await ownerOf(running.sockets)
    if (owner === 'nobody') {
      // A server that has only just started has no owner yet either.
      unowned += 1
      if (unowned === 3) {
        log(`stopping PostgreSQL ${running.pid}, which a killed shop left behind`)
        process.kill(running.pid, 'SIGINT')
      }
    } else if (owner !== 'unknown') {
      throw new Error(`the shop on ${dataDir} is running already (${owner}): stop it, or set another data folder`)
    }
    await sleep(100)
  }
}

/** A superuser's connection once the server takes them, after a crash once it has recovered; null when it ended instead. */
async function whenReady({ shell, pid }: Server, dataDir: string, sockets: string): Promise<pg.Client | null> {
  while (shell.exitCode === null && shell.signalCode === null) {
    const started = (await readPidFile(dataDir))?.pid === pid
    const client = started && (await connect(sockets, 'postgres', 'postgres').catch(() => null))
    if (client) return client
    await sleep(20)
  }
  return null
}

/** The process that holds the server, `nobody`, or `unknown` while the server starts or stops. */
async function ownerOf(sockets: string): Promise<string> {
  const client = await connect(sockets, 'postgres', 'postgres').catch(() => null)
  if (!client) return 'unknown'
  try {
    const { rows } = await client.query<{ application_name: string }>(
      `select replace(application_name, 'stoa', 'process') as application_name from pg_locks join pg_stat_activity using (pid)
       where locktype = 'advisory' and objid = $1 and granted and datname = current_database()`,
      [OWNERSHIP_LOCK],
    )
    return rows[0]?.application_name ?? 'nobody'
  } catch {
    return 'unknown'
  } finally {
    await client.end().catch(() => {})
  }
}
