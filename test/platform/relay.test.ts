import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '#platform/db/pool.ts'
import type { Reactions } from '#platform/db/work.ts'
import { consumersOf } from '#platform/messaging/consume.ts'
import { listDeadLetters, replayDeadLetter } from '#platform/messaging/dead-letters.ts'
import { makeLocalTransport } from '#platform/messaging/local.ts'
import { makeRelay } from '#platform/messaging/relay.ts'
import { seeded } from '#src/sandbox/seeded.ts'
import { SEED, shuffled, sized } from '../kit/chaos.ts'
import { command, testPlatform } from '../kit/platform.ts'
import { verdict } from '../kit/verdict.ts'

let kit: Awaited<ReturnType<typeof testPlatform>>
beforeAll(async () => {
  kit = await testPlatform()
})
afterAll(() => kit.close())

let now = new Date()
let on: Reactions
let seen: number[]
beforeEach(() => {
  seen = []
  on = {
    'scratch.added.v1': { 'scratch.see': async (_work, events) => void seen.push(...events.map((event) => event.id)) },
  }
})
afterEach(() =>
  sql`delete from platform.deliveries`
    .execute(kit.db)
    .then(() => sql`update platform.events set published_at = now() where published_at is null`.execute(kit.db)),
)

const build = (reactions = on) => {
  const transport = makeLocalTransport(
    kit.perform,
    kit.db,
    consumersOf([reactions]),
    () => now,
    kit.log,
    () => {},
  )
  return { transport, relay: makeRelay(kit.perform, transport, kit.log) }
}
const emit = (type: string, data: object = {}) =>
  kit.perform(command, async (work) => work.emit({ type, subject: 's', data }))

/** A connection with an open transaction; the next one begins when it ends. */
async function begin() {
  const client = new pg.Client({ connectionString: kit.url })
  await client.connect()
  await client.query('begin')
  const end = async (how: string) => void (await client.query(`${how}; begin`))
  return {
    /** Writes so many events, as if the clock stood anywhere within the last hour. */
    insert: async (count: number, random = Math.random): Promise<number[]> => {
      const { rows } = await client.query(
        `insert into platform.events (type, subject, data, request_id, occurred_at)
         select 'scratch.added.v1', 's', '{}', 'r', now() - $2 * interval '1 hour' from generate_series(1, $1) returning id`,
        [count, random()],
      )
      return rows.map(({ id }) => Number(id))
    },
    commit: () => end('commit'),
    rollback: () => end('rollback'),
    close: () => client.end(),
  }
}

describe('the relay', () => {
  test('P10: an event whose transaction commits after a later one is not skipped, whichever relay comes by', async () => {
    const relays = [build().relay, build().relay]
    const drain = () => Promise.all(relays.map((relay) => relay.drain()))
    const a = await begin()
    await a.insert(1)
    await emit('scratch.added.v1')
    await drain()
    const [second] = seen
    expect(seen).toHaveLength(1)
    await a.commit()
    await drain()
    expect(seen).toHaveLength(2)
    expect(seen[1]).toBeLessThan(second!)
    await a.close()
  })

  test('P10: events of 20 connections are delivered once in whichever order they commit, with gaps and a clock that steps back', async () => {
    const random = seeded(SEED)
    const relays = [build().relay, build().relay]
    const writers = await Promise.all(Array.from({ length: 20 }, begin))
    const written: number[] = []
    for (const wanted = sized(1_000, 10_000); written.length < wanted; ) {
      const open = new Map(writers.map((writer) => [writer, [] as number[]]))
      for (let turn = 0; turn < 2; turn += 1)
        for (const [writer, ids] of open) ids.push(...(await writer.insert(1 + Math.floor(random() * 25), random)))
      for (const writer of shuffled(writers, random)) {
        if (random() < 0.1) await writer.rollback()
        else {
          await writer.commit()
          written.push(...(open.get(writer) ?? []))
        }
        if (random() < 0.3) await Promise.all(relays.map((relay) => relay.drain()))
      }
    }
    await Promise.all(relays.map((relay) => relay.drain()))
    await Promise.all(writers.map((writer) => writer.close()))
    const times = Map.groupBy(seen, (id) => id)
    verdict({
      promise: 'P10',
      tried: 'events of 20 connections in any order of commits, with gaps, two relays',
      n: written.length,
      violations: [
        ...written.filter((id) => !times.has(id)).map((id) => `event ${id} was skipped`),
        ...[...times].flatMap(([id, { length }]) => (length > 1 ? [`event ${id} came ${length} times`] : [])),
        ...(seen.length > written.length ? ['events came that nobody committed'] : []),
      ],
      seed: SEED,
    })
  }, 60_000)

  test('delivers each event once to each consumer, also with several relays at work', async () => {
    const others = Array.from({ length: 3 }, () => build())
    await Promise.all(Array.from({ length: 120 }, () => emit('scratch.added.v1')))
    await Promise.all(others.map(({ relay }) => relay.drain()))
    await build().relay.drain()
    expect(new Set(seen).size).toBe(120)
    const { rows } = await sql<{
      unpublished: number
    }>`select count(*) as unpublished from platform.events where published_at is null`.execute(kit.db)
    expect(rows[0]?.unpublished).toBe(0)
  })

  test('an event delivered twice has one effect', async () => {
    const effects = { times: 0 }
    const { relay } = build({
      'scratch.added.v1': {
        'scratch.count': async (_work, events) => {
          effects.times += events.length
        },
      },
    })
    await emit('scratch.added.v1')
    await relay.drain()
    await sql`update platform.events set published_at = null where id = (select max(id) from platform.events)`.execute(
      kit.db,
    )
    await relay.drain()
    expect(effects.times).toBe(1)
  })

  test('a reaction and its mark are one transaction: killed in between, it is done again, once', async () => {
    let fail = true
    const { relay, transport } = build({
      'scratch.added.v1': {
        'scratch.add-once': async (work) => {
          await kit.add(work.tx, 'a')
          if (fail) throw new Error('killed')
        },
      },
    })
    const before = await kit.valueOf('a')
    await emit('scratch.added.v1')
    await relay.drain()
    expect(await kit.valueOf('a')).toBe(before)
    fail = false
    now = new Date(now.getTime() + 60_000)
    await transport.retryDue()
    expect(await kit.valueOf('a')).toBe(before! + 1)
  })

  test('P11: poison is parked with its reason, the rest of the batch flows, replay works once', async () => {
    let poisoned = true
    const { relay, transport } = build({
      'scratch.added.v1': {
        'scratch.picky': async (_work, events) => {
          if (poisoned && events.some((event) => (event.data as { poison?: boolean }).poison))
            throw new Error('cannot stomach this')
          seen.push(...events.map((event) => event.id))
        },
      },
    })
    for (let i = 0; i < 20; i += 1) await emit('scratch.added.v1', i === 7 ? { poison: true } : {})
    await relay.drain()
    await transport.retryDue()
    expect(seen).toHaveLength(19)
    for (let i = 0; i < 10; i += 1) {
      now = new Date(now.getTime() + 3_600_000)
      await transport.retryDue()
    }
    const [parked, ...more] = await listDeadLetters(kit.db, 10, { eventId: 0, consumer: '' })
    expect(more).toEqual([])
    expect(parked).toMatchObject({ consumer: 'scratch.picky', error: 'cannot stomach this', attempts: 8 })
    poisoned = false
    const replay = () => kit.perform(command, (work) => replayDeadLetter(work, parked!.eventId, parked!.consumer))
    expect(await replay()).toBe(true)
    now = new Date(now.getTime() + 1_000)
    await transport.retryDue()
    expect(await replay()).toBe(false)
    expect(seen).toHaveLength(20)
    expect(await listDeadLetters(kit.db, 10, { eventId: 0, consumer: '' })).toEqual([])
  })

  test('a relay killed between the effect and the mark delivers again, and the effect stays one', async () => {
    const doomed = openDatabase({ url: kit.url, maxConnections: 1, connectTimeoutMs: 5_000, onIdleError: () => {} })
    const before = await kit.valueOf('b')
    const add: Reactions = {
      'scratch.added.v1': { 'scratch.add-b': async (work) => void (await kit.add(work.tx, 'b')) },
    }
    await emit('scratch.added.v1')
    await doomed.db
      .transaction()
      .execute(async (tx) => {
        await sql`select id from platform.events where published_at is null for update skip locked`.execute(tx)
        await kit.add(tx, 'b')
        await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx)
      })
      .catch(() => {})
    await doomed.close().catch(() => {})
    await build(add).relay.drain()
    expect(await kit.valueOf('b')).toBe(before! + 1)
  })
})
