import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { type Operation, operationsOf, takes } from '../fuzz/document.ts'
import type { Reply } from '../kit/buyer.ts'
import { type Keyed, keyedRequests } from '../kit/keyed.ts'
import { type Two, twoInstances } from '../kit/stripe-shop.ts'
import { verdict, whichHold } from '../kit/verdict.ts'

/** P4: whatever takes an Idempotency-Key does one thing with it, over two instances; the API's document says what does. */
const AT_ONCE = 50

let buying: Buying
let two: Two
let operations: readonly Operation[]
let cases: ReturnType<typeof keyedRequests>
beforeAll(async () => {
  buying = await openForBuying({ PAYMENT_CAPTURE: 'manual', PAYMENT_PROVIDERS: 'sandbox,manual' })
  two = await twoInstances(buying)
  cases = keyedRequests(buying)
  const { body } = await buying.send('GET', '/openapi.json')
  operations = operationsOf(body).filter((operation) => takes(operation, 'Idempotency-Key'))
})
afterAll(async () => {
  await two?.close()
  await buying?.close()
})

async function ask(
  { method, path }: Operation,
  { ids = [], as, body }: Keyed,
  key: string,
  i = 0,
): Promise<Reply & { text: string }> {
  const left = [...ids]
  const url = `${two.urls[i % 2]}${path.replaceAll(/\{\w+\}/g, () => String(left.shift()))}`
  const json = typeof body === 'object' ? { 'content-type': 'application/json' } : {}
  const payload = typeof body === 'object' ? JSON.stringify(body) : body
  const response = await fetch(url, {
    method,
    headers: { ...json, ...as, 'idempotency-key': key },
    ...(payload && { body: payload }),
  })
  const text = await response.text()
  const replayed = response.headers.has('idempotent-replayed')
  return { status: response.status, body: text ? JSON.parse(text) : undefined, replayed, text }
}

const settle = () => Promise.all([buying.shop.app.settle(), two.settle()])

/** How many rows each table has once everything that is due was done. */
async function rowsNow(): Promise<Map<string, number>> {
  await settle()
  const tables = await buying.rows(sql<{ name: string }>`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_schema in ('users', 'catalog', 'orders', 'payments', 'platform') and table_type = 'BASE TABLE'
      and table_name <> 'sessions'`)
  const counts = tables.map(({ name }) => sql`select ${name} as name, count(*)::int as n from ${sql.raw(name)}`)
  const rows = await buying.rows(sql<{ name: string; n: number }>`${sql.join(counts, sql` union all `)}`)
  return new Map(rows.map(({ name, n }) => [name, n]))
}

/** What it wrote: the tables that have other many rows afterwards, and how many more. */
async function written(act: () => Promise<unknown>): Promise<string> {
  const before = await rowsNow()
  await act()
  const after = await rowsNow()
  const grown = [...after].filter(([name, n]) => n !== before.get(name))
  return grown
    .map(([name, n]) => `${name} ${n - (before.get(name) ?? 0)}`)
    .toSorted()
    .join(', ')
}

async function wrongOf(operation: Operation): Promise<string[]> {
  const make = cases[operation.operationId] as () => Promise<Keyed>
  const alone = await make()
  const once = await written(() => ask(operation, alone, randomUUID()))
  const request = await make()
  const key = randomUUID()
  const replies: Awaited<ReturnType<typeof ask>>[] = []
  const atOnce = await written(async () => {
    replies.push(...(await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => ask(operation, request, key, i)))))
    replies.push(await ask(operation, request, key))
  })
  const done = replies.filter(({ status }) => status < 300)
  const other = replies.filter(({ status, body }) => status >= 300 && body?.code !== 'platform.in-progress')
  const another = request.other ? await ask(operation, { ...request, body: request.other }, key) : undefined
  const stranger = await ask(operation, { ...request, as: { ...request.as, ...(await buying.staff('admin')) } }, key)
  return whichHold({
    [`answered ${[...new Set(other.map(({ text }) => text))].slice(0, 2)}`]: other.length > 0,
    'the last one is not the first one again': !replies.at(-1)?.replayed,
    'somebody else is given the answer': stranger.replayed,
    'different answers': new Set(done.map(({ status, text }) => `${status} ${text}`)).size !== 1,
    [`alone it writes ${once}, ${AT_ONCE} times ${atOnce}`]: once !== atOnce || once === '',
    [`another body is ${another?.status} ${another?.text}`]:
      another !== undefined && another.body?.code !== 'platform.idempotency-key-reused',
  }).map((words) => `${operation.operationId}: ${words}`)
}

describe('P4: every key', () => {
  test('every operation that takes a key has a case, and every case an operation', () => {
    const names = operations.map(({ operationId }) => operationId)
    expect(Object.keys(cases).toSorted()).toEqual(names.toSorted())
  })

  test(`${AT_ONCE} at once with one key over two instances: one effect, one answer; not for another body or caller`, async () => {
    const violations: string[] = []
    for (const operation of operations) violations.push(...(await wrongOf(operation)))
    const n = operations.length * (AT_ONCE + 1)
    verdict({ promise: 'P4', tried: `requests with one key, ${operations.length} operations`, n, violations })
  }, 120_000)
})
