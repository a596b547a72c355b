import { type Kysely, sql } from 'kysely'
import { WatchedClient } from '#platform/db/watched-client.ts'
import type { Log } from '#platform/telemetry/log.ts'

const CHANNEL = 'stoa_events'
const NOTIFY_EVERY_MS = 50
const RECONNECT_MS = 1_000

/**
 * Tells other processes that there are events: at most one NOTIFY per 50 ms, after the commit and outside it (inside, it
 * serialises all committers: measured 9,000 → 4,500 commits/s). A lost one costs a second: the relay polls anyway.
 * `stop` sends the one that is waiting, while the database is still open.
 */
export function makeNotifier(db: Kysely<{}>, log: Log): { notify: () => void; stop: () => Promise<void> } {
  let timer: NodeJS.Timeout | undefined
  const send = async () => {
    timer = undefined
    await sql`select pg_notify(${CHANNEL}, '')`
      .execute(db)
      .catch((error) => log.warn({ err: error }, 'could not notify'))
  }
  return {
    notify: () => {
      timer ??= setTimeout(send, NOTIFY_EVERY_MS).unref()
    },
    stop: async () => {
      if (!timer) return
      clearTimeout(timer)
      await send()
    },
  }
}

/** Calls `wake` whenever another process says that there are events; reconnects until stopped. */
export function listenForEvents(url: string, wake: () => void, log: Log): { stop: () => Promise<void> } {
  let client: WatchedClient | undefined
  let stopped = false
  const connect = async () => {
    if (stopped) return
    const fresh = new WatchedClient({ connectionString: url })
    client = fresh
    const retry = (error?: Error) => {
      if (stopped || client !== fresh) return
      client = undefined
      log.warn({ err: error }, 'lost the connection that listens for events')
      setTimeout(() => void connect(), RECONNECT_MS).unref()
    }
    fresh.on('error', retry)
    fresh.on('end', () => retry())
    fresh.on('notification', wake)
    await fresh
      .connect()
      .then(() => fresh.query(`listen ${CHANNEL}`))
      .catch(retry)
  }
  void connect()
  return {
    stop: async () => {
      stopped = true
      await client?.end().catch(() => {})
    },
  }
}
