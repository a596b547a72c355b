import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

const LOOK_EVERY_MS = 500
/** A statement without a byte of an answer for so long is asked about. */
const SILENT_MS = 2_000
/** A server that takes no connection for so long is away. */
const AWAY_MS = 3_000
const FAREWELL_MS = 1_000

/**
 * A connection that never waits for a database that is not there. When a statement is silent for 2 s, its server is asked over
 * a new connection. What it works on may take as long as it likes. If it does not work on that statement, or takes no connection
 * for 3 s, the statement's connection is cut, and so is every other one at rest, which may be as dead. What was cut fails with
 * ECONNABORTED. Connecting takes 3 s at most, ending 1 s. (Behind a pooler, whose process ids say nothing, only its own silence counts.)
 */
export class WatchedClient extends pg.Client {
  declare private readonly processID: number | null
  declare private readonly readyForQuery?: boolean
  #heard = { bytes: 0, at: 0 }
  #suspect = false

  constructor(config: pg.ClientConfig = {}) {
    super({ ...config, keepAlive: true, keepAliveInitialDelayMillis: 5_000, connectionTimeoutMillis: AWAY_MS })
    // A connection that breaks while in use fails its statement; without a listener it would end the process as well.
    this.on('error', () => {})
    this.once('connect', () => watch(config.connectionString, this))
  }

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of pg's own method
  override end(...done: any[]): any {
    setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref()
    return super.end(...(done as []))
  }

  /** Whether a statement has waited too long for its answer, or for more of it. */
  isSilent(): boolean {
    if (this.readyForQuery || this.#socket.bytesRead > this.#heard.bytes) this.#hear()
    return performance.now() - this.#heard.at > SILENT_MS
  }

  /** Whether it is silent, and its server away or found twice not to work for it: an answer may have been on its way. */
  isDead(worksFor: WorksFor | undefined): boolean {
    if (!this.isSilent()) return false
    if (worksFor?.(this.processID)) {
      this.#hear()
      return false
    }
    const isSure = !worksFor || this.#suspect
    this.#suspect = true
    return isSure
  }

  isAtRest(): boolean {
    return this.readyForQuery === true && this.getTransactionStatus() === 'I'
  }

  cut(): void {
    this.#socket.destroy(Object.assign(new Error('The database did not answer.'), { code: 'ECONNABORTED' }))
  }

  get #socket(): Socket {
    return this.connection.stream as Socket
  }

  #hear(): void {
    this.#heard = { bytes: this.#socket.bytesRead, at: performance.now() }
    this.#suspect = false
  }
}

type Url = string | undefined
/** Whether the server works on a statement of the connection with this process id. */
type WorksFor = (backend: number | null) => boolean

/** The open connections of this process, by server. */
const watched = new Map<Url, Set<WatchedClient>>()

function watch(url: Url, client: WatchedClient): void {
  const known = watched.get(url)
  const clients = known ?? new Set()
  clients.add(client)
  client.once('end', () => clients.delete(client))
  if (known) return
  watched.set(url, clients)
  void keepLooking(url, clients)
}

async function keepLooking(url: Url, clients: ReadonlySet<WatchedClient>): Promise<void> {
  while (clients.size > 0) {
    await pause(LOOK_EVERY_MS, undefined, { ref: false })
    await look(url, [...clients])
  }
  watched.delete(url)
}

async function look(url: Url, clients: readonly WatchedClient[]): Promise<void> {
  const silent = clients.filter((client) => client.isSilent())
  if (silent.length === 0) return
  const worksFor = await askServer(url)
  const dead = clients.filter((client) => client.isDead(worksFor))
  if (dead.length === 0) return
  for (const client of clients) if (dead.includes(client) || client.isAtRest()) client.cut()
}

/** Whom a server works for; undefined when it takes no connection. Who cannot be told, it works for. */
async function askServer(url: Url): Promise<WorksFor | undefined> {
  const client: pg.Client & { readonly processID?: number } = new pg.Client({
    connectionString: url,
    application_name: 'stoa watch',
    connectionTimeoutMillis: AWAY_MS,
    query_timeout: AWAY_MS,
  })
  client.on('error', () => {})
  let isThere = false
  try {
    await client.connect()
    isThere = true
    const { rows } = await client.query<{ pid: number }>(`select pid from pg_stat_activity where state = 'active'`)
    const active = new Set<number | null | undefined>(rows.map(({ pid }) => pid))
    // A pooler between us and the server gives out process ids of its own: then ours is none of these.
    return (backend) => active.has(backend) || !active.has(client.processID)
  } catch (error) {
    return isThere || error instanceof pg.DatabaseError ? () => true : undefined
  } finally {
    void client.end().catch(() => {})
  }
}
