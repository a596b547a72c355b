import { Logger } from 'graphile-worker'
import pg from 'pg'
import { WatchedClient } from '#platform/db/watched-client.ts'
import type { Log } from '#platform/telemetry/log.ts'

const LEVELS = { error: 'error', warning: 'warn', info: 'debug', debug: 'trace' } as const

/** What graphile-worker needs to speak to the database and to our log. Close the pool when done. */
export function connectLibrary(url: string, maxConnections: number, log?: Log) {
  const pgPool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: 5_000,
    Client: WatchedClient,
  } as pg.PoolConfig)
  const onError = (error: Error) => log?.warn({ err: error }, 'a database connection of the jobs broke')
  pgPool.on('error', onError)
  pgPool.on('connect', (client) => client.on('error', onError))
  const logger = new Logger(() => (level, message) => log?.[LEVELS[level as keyof typeof LEVELS]](message))
  return { pgPool, logger, schema: 'graphile_worker' }
}
