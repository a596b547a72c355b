import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '#platform/db/pool.ts'
import type { Reactions } from '#platform/db/work.ts'
import { consumersOf } from '#platform/messaging/consume.ts'
import { listDeadLetters, replayDeadLetter } from '#platform/messaging/dead-letters.ts'
import { makeLocalTransport } from '#platform/messaging/local.ts'
import { makeRelay } from '#platform/messaging/relay.ts'
import { command, testPlatform } from '../kit/platform.ts'

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
  const transport = makeLocalTransport(kit.perform, kit.db, consumersOf([reactions]), () => now, kit.log)
  return { transport, relay: makeRelay(kit.perform, transport, kit.log) }
}
const emit = (type: string, data: object = {}) =>
  kit.perform(command, async (work) => work.emit({ type, subject: 's', data }))

describe('the relay', () => {
  test('P10: an event whose transaction commits after a later one is not skipped', async () => {
    const { relay } = build()
    let commitA = () => {}
    const holdA = new Promise<void>((resolve) => {
      commitA = resolve
    })
    const a = kit.perform(command, async (work) => {
      await sql`insert into platform.events (type, subject, data, request_id, occurred_at) values ('scratch.added.v1', 'a', '{}', 'r', now())`.execute(
        work.tx,
      )
      await holdA
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await emit('scratch.added.v1')
    await relay.drain()
    const [second] = seen
    expect(seen).toHaveLength(1)
    commitA()
    await a
    await relay.drain()
    expect(seen).toHaveLength(2)
    expect(seen[1]).toBeLessThan(second!)
  })

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
