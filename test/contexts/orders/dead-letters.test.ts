import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { verdict } from '../../kit/verdict.ts'
import { type Buying, openForBuying } from './buying.ts'

let at: Buying
beforeAll(async () => {
  at = await openForBuying()
})
afterAll(() => at.close())

const REPLAYS = 20
const HALF_AN_HOUR = 30
type Letter = { id: string; consumer: string; type: string; subject: string; error: string }

const letters = async (): Promise<Letter[]> =>
  (await at.send('GET', '/v1/dead-letters', undefined, await at.asOwner())).body.data

/** Does what is due until whatever failed has been parked. */
async function giveUp(): Promise<void> {
  for (let times = 0; times < 8; times += 1) {
    at.shop.clock.advance(HALF_AN_HOUR)
    await at.shop.app.settle()
  }
}

test('P11: spoilt events are parked for staff, who replay them once their cause is gone: 20 at once have one effect', async () => {
  const orders = await Promise.all(Array.from({ length: 3 }, () => at.anOrder()))
  for (const order of orders) expect((await at.pay(order)).body.status).toBe('succeeded')
  const [malformed, newer, sound] = orders as [(typeof orders)[0], (typeof orders)[0], (typeof orders)[0]]
  const spoil = async ({ body }: { body: { payment: { id: string } } }, type: string, orderId: string) =>
    at.rows(sql`update platform.events set type = ${type}, data = jsonb_set(data, '{orderId}', to_jsonb(${orderId}::text))
      where subject = ${body.payment.id} and type like 'payments.captured.v_'`)
  await spoil(malformed, 'payments.captured.v1', 'ord_nobody')
  await spoil(newer, 'payments.captured.v2', newer.id)
  await giveUp()
  expect((await at.read(sound)).body.status).toBe('paid')
  const parked = await letters()
  expect(parked.map(({ consumer, type }) => [consumer, type])).toEqual([
    ['orders.mark-paid', 'payments.captured.v1'],
    ['orders.mark-paid', 'payments.captured.v2'],
  ])
  expect((await at.send('GET', '/metrics')).text).toContain('stoa_parked_events 2')

  await spoil(malformed, 'payments.captured.v1', malformed.id)
  await spoil(newer, 'payments.captured.v1', newer.id)
  const owner = await at.asOwner()
  const violations: string[] = []
  for (const { id, error } of parked) {
    if (!error || /@|Ann/.test(error)) violations.push(`${id} is parked for "${error}"`)
    const replies = Array.from({ length: REPLAYS }, () =>
      at.send('POST', `/v1/dead-letters/${id}/replay`, undefined, owner),
    )
    const given = (await Promise.all(replies)).map(({ status }) => status).sort()
    if (given.join() !== [204, ...Array(REPLAYS - 1).fill(404)].join()) violations.push(`${id}: replays said ${given}`)
  }
  await at.shop.app.settle()
  for (const { id } of [malformed, newer]) {
    const [paid] = await at.rows(sql<{ times: number }>`
      select count(*)::int as times from orders.timeline where order_id = ${id} and to_status = 'paid'`)
    if (paid?.times !== 1) violations.push(`order ${id} was paid ${paid?.times} times`)
  }
  for (const { id, error } of await letters()) violations.push(`${id} is parked again: ${error}`)
  verdict({
    promise: 'P11',
    tried: `spoilt events of payments, each replayed ${REPLAYS} times at once`,
    n: 2,
    violations,
  })
})

test('an event that nobody listens to is published all the same', async () => {
  await at.aVariant()
  await at.shop.app.settle()
  const [row] = await at.rows(sql<{ catalog: number; unpublished: number }>`
    select count(*) filter (where type like 'catalog.%')::int as catalog,
      count(*) filter (where published_at is null)::int as unpublished from platform.events`)
  expect(row?.catalog).toBeGreaterThan(0)
  expect(row?.unpublished).toBe(0)
})
