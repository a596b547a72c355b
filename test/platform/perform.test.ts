import { sql } from 'kysely'
import pgModule from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Refusal } from '#kernel/refusal.ts'
import { openDatabase } from '#platform/db/pool.ts'
import { type KeptAnswer, receiptOf } from '#platform/db/receipts.ts'
import { asRefusal } from '#platform/http/problem.ts'
import { refuse } from '#platform/problems.ts'
import { fixedEncryption } from '../kit/key-ring.ts'
import { command, testPlatform } from '../kit/platform.ts'

let kit: Awaited<ReturnType<typeof testPlatform>>
beforeAll(async () => {
  kit = await testPlatform()
})
afterAll(() => kit.close())

const seal = fixedEncryption()
const happened = { type: 'scratch.added.v1', subject: 'a', data: {} }
const receiptFor = (idempotencyKey: string, body: unknown = {}, guardedByRow = false, scope = 'somebody POST /x') =>
  receiptOf(kit.db, seal, { scope, idempotencyKey, body, guardedByRow })
const answered = (text: string): KeptAnswer => ({
  status: 201,
  location: '/x/1',
  body: Buffer.from(text),
  replayed: false,
})

describe('perform', () => {
  test('commits the change with its events and wakes the relay once', async () => {
    const [before, woken] = [await kit.valueOf('a'), kit.woken.times]
    await kit.perform(command, async (work) => {
      await kit.add(work.tx, 'a')
      work.emit(happened, happened)
    })
    expect(await kit.valueOf('a')).toBe(before! + 1)
    expect((await kit.events()).slice(-2).map((event) => event.type)).toEqual(['scratch.added.v1', 'scratch.added.v1'])
    expect(kit.woken.times).toBe(woken + 1)
  })

  test('what it throws undoes everything', async () => {
    const [before, events] = [await kit.valueOf('a'), (await kit.events()).length]
    const refused = kit.perform(command, async (work) => {
      await kit.add(work.tx, 'a')
      work.emit(happened)
      throw refuse('platform.forbidden')
    })
    await expect(refused).rejects.toBeInstanceOf(Refusal)
    expect(await kit.valueOf('a')).toBe(before)
    expect((await kit.events()).length).toBe(events)
  })

  test('an error swallowed inside is not taken for a commit', async () => {
    const swallowed = kit.perform(command, async (work) => {
      await kit.add(work.tx, 'a', 5_000).catch(() => {})
      return 'fine'
    })
    await expect(swallowed).rejects.toThrow()
  })

  test('two commands that deadlock are both done, each once', async () => {
    const before = (await kit.valueOf('a'))! + (await kit.valueOf('b'))!
    const both = (first: string, second: string) =>
      kit.perform(command, async (work) => {
        await kit.add(work.tx, first)
        await sql`select pg_sleep(0.05)`.execute(work.tx)
        await kit.add(work.tx, second)
        work.emit(happened)
      })
    const events = (await kit.events()).length
    await Promise.all([both('a', 'b'), both('b', 'a')])
    expect((await kit.valueOf('a'))! + (await kit.valueOf('b'))!).toBe(before + 4)
    expect((await kit.events()).length).toBe(events + 2)
  })

  test('a plan that changed its type is dropped with its connection and run again', async () => {
    const owner = openDatabase({ url: kit.ownerUrl, maxConnections: 1, connectTimeoutMs: 5_000, onIdleError: () => {} })
    const read = () =>
      kit.perform(
        command,
        async (work) =>
          (await sql`select name, value from scratch.counters where name = 'a'`.execute(work.tx)).rows.length,
      )
    for (let i = 0; i < 8; i += 1) await read()
    await sql`alter table scratch.counters alter column value type bigint`.execute(owner.db)
    await owner.close()
    expect(await read()).toBe(1)
  })

  test('statements are named: the server has each prepared', async () => {
    await kit.perform(command, async (work) => {
      await kit.add(work.tx, 'a')
      const { rows } = await sql<{
        prepared: number
      }>`select count(*) as prepared from pg_prepared_statements where statement like 'update scratch%'`.execute(
        work.tx,
      )
      expect(rows[0]?.prepared).toBe(1)
    })
  })
})

test.each(['40001', '40P01'])(
  'a race (%s) is run again three times; one that is always lost is told as busy',
  async (code) => {
    let runs = 0
    const run = (losses: number) => {
      runs = 0
      return kit.perform(command, async (work) => {
        runs += 1
        if (runs <= losses)
          await sql`do ${sql.raw(`$$ begin raise 'lost' using errcode = '${code}'; end $$`)}`.execute(work.tx)
      })
    }
    await run(3)
    expect(runs).toBe(4)
    const lost = await run(9).catch((error) => error)
    expect(runs).toBe(4)
    expect(asRefusal(lost)?.code).toBe('platform.busy')
  },
)

test('a server that only reads, as after a failover, is unavailable', () => {
  expect(asRefusal(Object.assign(new Error(), { code: '25006' }))?.code).toBe('platform.unavailable')
})

describe('receipts', () => {
  test('50 requests with one key at once: one effect, the rest told or answered with the same bytes', async () => {
    const before = await kit.valueOf('b')
    const send = () =>
      kit
        .perform(
          command,
          async (work) => {
            await kit.add(work.tx, 'b')
            return answered('{"id":1}')
          },
          receiptFor('fifty'),
        )
        .catch((error: Refusal) => error)
    const results = await Promise.all(Array.from({ length: 50 }, send))
    const again = (await send()) as KeptAnswer
    expect(await kit.valueOf('b')).toBe(before! + 1)
    expect(again).toMatchObject({ status: 201, location: '/x/1', replayed: true })
    expect(again.body.toString()).toBe('{"id":1}')
    for (const result of results)
      if (result instanceof Refusal) expect(result.code).toBe('platform.in-progress')
      else expect(result.body.toString()).toBe('{"id":1}')
  })

  test('another body under the same key is refused; another scope is another key', async () => {
    const send = (body: unknown, scope?: string) =>
      kit.perform(command, async () => answered('ok'), receiptFor('reused', body, false, scope))
    await send({ a: 1 })
    await expect(send({ a: 2 })).rejects.toMatchObject({ code: 'platform.idempotency-key-reused' })
    expect((await send({ a: 2 }, 'somebody else POST /x')).replayed).toBe(false)
  })

  test('a refusal is not kept: the same request runs again', async () => {
    const send = (refused: boolean) =>
      kit.perform(
        command,
        async () => {
          if (refused) throw refuse('platform.forbidden')
          return answered('now')
        },
        receiptFor('refused first'),
      )
    await expect(send(true)).rejects.toMatchObject({ code: 'platform.forbidden' })
    expect((await send(false)).body.toString()).toBe('now')
  })

  test('a command that a row guards needs no claim: its duplicate finds the receipt', async () => {
    const send = () =>
      kit.perform(
        command,
        async (work) => {
          const { rows } = await sql<{
            name: string
          }>`insert into scratch.counters (name, value) values ('once', 1) on conflict do nothing returning name`.execute(
            work.tx,
          )
          if (rows.length === 0) throw refuse('platform.stale')
          return answered('once')
        },
        receiptFor('guarded', {}, true),
      )
    const results = await Promise.all(Array.from({ length: 10 }, send))
    expect(results.filter((result) => !result.replayed)).toHaveLength(1)
    expect(new Set(results.map((result) => result.body.toString()))).toEqual(new Set(['once']))
  })

  test('a commit whose answer was lost is looked up, not run again', async () => {
    const before = await kit.valueOf('b')
    let runs = 0
    const kept = await kit.perform(
      command,
      async (work) => {
        runs += 1
        await kit.add(work.tx, 'b')
        return loseTheCommit(work.tx, answered('lost and found'))
      },
      receiptFor('lost'),
    )
    expect(runs).toBe(1)
    expect(kept).toMatchObject({ replayed: true })
    expect(await kit.valueOf('b')).toBe(before! + 1)
  })

  test('a commit whose answer was lost, and cannot be looked up either, has an unknown outcome', async () => {
    const gone = async () => {
      throw new Error('Connection terminated unexpectedly')
    }
    const lost = kit.perform(command, async (work) => loseTheCommit(work.tx, answered('lost')), {
      ...receiptFor('lost for good'),
      find: gone,
    })
    await expect(lost).rejects.toMatchObject({ code: 'platform.outcome-unknown', facts: { retryAfterSeconds: 1 } })
  })

  test('bodies are sealed: neither token nor e-mail can be read in the table', async () => {
    await kit.perform(command, async () => answered('{"token":"canary-token"}'), receiptFor('sealed'))
    const { rows } = await sql<{ sealed_body: Buffer }>`select sealed_body from platform.receipts`.execute(kit.db)
    expect(rows.length).toBeGreaterThan(0)
    for (const { sealed_body } of rows) expect(sealed_body.includes('canary')).toBe(false)
  })
})

/** Lets the next COMMIT of this transaction take effect, and its answer be lost. */
function loseTheCommit<T>(_tx: unknown, result: T): T {
  const { Client } = pgModule
  const original = Client.prototype.query
  Client.prototype.query = function (this: unknown, ...args: unknown[]) {
    const sent = (original as (...args: unknown[]) => unknown).apply(this, args)
    if ((args[0] as { text?: string }).text !== 'commit') return sent
    Client.prototype.query = original
    return (sent as Promise<unknown>).then(() => {
      throw Object.assign(new Error('Connection terminated unexpectedly'))
    })
  } as typeof original
  return result
}
