import { join } from 'node:path'
import { locateEmbedded, startEmbedded } from '#platform/db/embedded.ts'
import { migrate } from '#platform/db/migrate.ts'
import { boundRole } from '#platform/db/roles.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { type App, buildApp } from '../app.ts'
import { type Config, readConfig } from '../config.ts'
import { knownSandboxUrl } from './sandbox.ts'

/** What short commands tell a person goes beside their output, which may be piped. */
export const tell = (line: string): void => console.error(line)

/** The shop's database: as the service connects to it, and as its owner, who migrates. */
export type Connection = {
  readonly appUrl: string
  readonly ownerUrl: string
  /** Where a person finds it. */
  readonly place: string
  /** Settles when an embedded database that is ours has ended, asked to or not. */
  readonly ended?: Promise<unknown>
  close(): Promise<void>
}

/**
 * Finds the shop's database: the one that DATABASE_URL names, else the embedded one of the running shop, else the embedded
 * one, started for as long as the connection is open.
 */
export async function connect(config: Config, log: (line: string) => void = tell): Promise<Connection> {
  if (config.databaseUrl) {
    const ownerUrl = config.databaseOwnerUrl ?? config.databaseUrl
    const place = new URL(config.databaseUrl).host
    return { appUrl: config.databaseUrl, ownerUrl, place: `PostgreSQL at ${place}`, close: async () => {} }
  }
  const dataDir = join(config.dataDir, 'pg')
  const running = await locateEmbedded(dataDir)
  if (running) return { ...running, place: `${dataDir}, of the shop that is running`, close: async () => {} }
  const started = await startEmbedded({ dataDir, log })
  return { ...started, place: dataDir, close: started.stop }
}

/**
 * Brings the database to this version, and sets the time-outs of the role that runs the service. Production refuses a
 * database that forgets in a crash what it has acknowledged; elsewhere that is said.
 */
export async function prepare(
  { appUrl, ownerUrl }: Connection,
  { production }: Config,
  log: (line: string) => void = tell,
): Promise<void> {
  await migrate({ ownerUrl, log })
  await migrateJobs(ownerUrl)
  const { separate, unsafe } = await boundRole(appUrl, ownerUrl)
  if (unsafe.length > 0) {
    const warning = `a crash of PostgreSQL would lose orders that were acknowledged: it runs with ${unsafe.join(', ')}`
    if (production) throw new Error(`${warning}; turn that on`)
    log(warning)
  }
  if (!separate) log('the service runs with the role that owns the database: set DATABASE_OWNER_URL to separate them')
}

/** Runs a short command on the shop's database, and leaves that as it was found: running or not. */
export async function withDatabase(run: (connection: Connection, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig()
  const connection = await connect(config)
  try {
    if (connection.ended) await prepare(connection, config)
    await run(connection, config)
  } finally {
    await connection.close()
  }
}

/** Runs a short command on the whole shop, without a port and without background work. */
export async function withShop(run: (app: App) => Promise<void>): Promise<void> {
  await withDatabase(async ({ appUrl }, config) => {
    const log = makeLog({ level: config.logLevel, sync: true })
    const sandboxUrl = knownSandboxUrl(config)
    const app = await buildApp({ ...config, sandboxUrl }, { databaseUrl: appUrl, log })
    try {
      await run(app)
    } finally {
      await app.close()
    }
  })
}
