import { sql } from 'kysely'
import { makePerform } from '#platform/db/perform.ts'
import { type Database, openDatabase } from '#platform/db/pool.ts'
import type { Actor } from '#platform/db/work.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { testDatabase } from './database.ts'

/** The platform without any context: a database with one scratch table, and `perform` on it. */
export async function testPlatform() {
  const server = await testDatabase()
  const log = makeLog({ level: 'silent', sync: true })
  const open = (url: string): Database =>
    openDatabase({ url, maxConnections: 10, connectTimeoutMs: 5_000, onIdleError: () => {} })
  const owner = open(server.ownerUrl)
  await sql`create schema scratch`.execute(owner.db)
  await sql`create table scratch.counters (name text primary key, value integer not null check (value <= 1000))`.execute(
    owner.db,
  )
  await sql`insert into scratch.counters (name, value) values ('a', 0), ('b', 0)`.execute(owner.db)
  await owner.close()
  const database = open(server.url)
  const { db } = database
  const woken = { times: 0 }
  const perform = makePerform(
    db,
    () => new Date(),
    (plain) => Buffer.from(plain),
    () => {
      woken.times += 1
    },
  )
  return {
    ...server,
    database,
    db,
    log,
    perform,
    woken,
    /** Adds to a counter in the given unit of work. */
    add: (tx: typeof db, name: string, by = 1) =>
      sql`update scratch.counters set value = value + ${by} where name = ${name}`.execute(tx),
    /** Run again where a test that altered the table left a connection with a plan of before. */
    valueOf: (name: string) =>
      perform.one(command, async (single) => {
        const { rows } = await sql<{ value: number }>`select value from scratch.counters where name = ${name}`.execute(
          single.db,
        )
        return rows[0]?.value
      }),
    events: async () =>
      (
        await sql<{
          id: number
          type: string
          published_at: Date | null
        }>`select id, type, published_at from platform.events order by id`.execute(db)
      ).rows,
    close: async () => {
      await database.close()
      await server.drop()
    },
  }
}

export const somebody: Actor = { kind: 'guest', userId: null, address: null, permissions: new Set() }
export const command = { actor: somebody, requestId: 'test-request' }
