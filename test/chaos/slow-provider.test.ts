import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillCart, pay, placeOrder, type Reply, send, variantOf } from '../kit/buyer.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { openToxicProxy, type Toxic, type ToxicProxy } from '../kit/toxics.ts'

/** P14: a slow or dead provider cannot take the shop down. Two processes, with four database connections each. */
const AT_ONCE = 60
/** After those at once, so many more begin to pay in each quarter of a second, for so many of them. */
const MORE = 2
const QUARTERS = 24
const BROWSERS = 3
const ROUNDS = 3

type Order = { readonly id: string; readonly token: string; readonly payment: { readonly id: string } }

let database: TestDatabase
/** In the service's own role: only that sees what its connections do. */
let witness: pg.Client
let proxy: ToxicProxy
let cluster: Cluster
let variantId: string
const placed: Order[] = []
const url = (i: number) => cluster.services[i % 2]!.url

beforeAll(async () => {
  database = await testDatabase()
  witness = new pg.Client({ connectionString: database.url })
  await witness.connect()
  proxy = await openToxicProxy(() => new URL(cluster.sandboxUrl))
  cluster = await startCluster(database, { services: 2, env: { SANDBOX_URL: proxy.url, DATABASE_CONNECTIONS: '4' } })
  await cluster.stock({ mug: 100_000 })
  variantId = await variantOf(url(0), 'mug')
  // The first of each compile what they run: that is another matter.
  await payAll(await placeOrders(20))
  await startBrowsing().then(({ stop }) => stop())
}, 120_000)
afterAll(async () => {
  await cluster.stop()
  await proxy.close()
  await witness.end()
  await database.drop()
})

test.each<[string, Toxic, { dead: boolean }]>([
  ['10 s of latency', { type: 'latency', ms: 10_000, jitterMs: 500 }, { dead: true }],
  ['a black hole', { type: 'black-hole' }, { dead: true }],
  ['resets', { type: 'reset' }, { dead: true }],
  ['a byte each 100 ms', { type: 'drip', everyMs: 100 }, { dead: true }],
  ['500 for half of the requests', { type: 'errors', rate: 0.5 }, { dead: false }],
])(
  '%s: people browse as before; a dead provider is given up within 5 s, a poor one is not',
  { timeout: 180_000 },
  async (what, toxic, { dead }) => {
    const ratios: number[] = []
    while (ratios.length < ROUNDS && !ratios.some((ratio) => ratio <= 1.2)) {
      const before = await payAndBrowse()
      proxy.set(toxic)
      const during = await payAndBrowse()
      proxy.set()
      ratios.push(during.p99Ms / before.p99Ms)
      console.log(
        `${what}: browse p99 ${before.p99Ms.toFixed(1)} ms before, ${during.p99Ms.toFixed(1)} ms during: ` +
          `${(during.p99Ms / before.p99Ms).toFixed(2)} times; given up after ${during.openedMs.join(' and ')} ms; ` +
          JSON.stringify(during.outcomes),
      )
      expect(Object.keys(before.outcomes)).toEqual(['succeeded'])
      if (dead) for (const ms of during.openedMs) expect(ms).toBeLessThanOrEqual(5_000)
      else expect(during.outcomes.succeeded).toBeGreaterThan((AT_ONCE + MORE * QUARTERS) / 2)
      await untilBothPay()
    }
    expect(Math.min(...ratios)).toBeLessThanOrEqual(1.2)
  },
)

test('60 attempts that hang hold no database connection', { timeout: 60_000 }, async () => {
  const orders = await placeOrders(AT_ONCE)
  proxy.set({ type: 'black-hole' })
  const paying = payAll(orders)
  await pause(1_000)
  const seen: { busy: number; held: number }[] = []
  while (seen.length < 20) {
    const { rows } = await witness.query(
      `select count(*) filter (where state <> 'idle')::int as busy,
         count(*) filter (where xact_start < clock_timestamp() - interval '300 ms')::int as held
       from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    seen.push(rows[0])
    await pause(100)
  }
  proxy.set()
  expect((await paying).map(({ status }) => status)).toEqual(orders.map(() => 201))
  expect(seen.map(({ held }) => held)).toEqual(seen.map(() => 0))
  expect(seen.map(({ busy }) => busy).sort((a, b) => a - b)[seen.length / 2]).toBe(0)
  await untilBothPay()
})

test('afterwards every attempt ends, one charge per order that was paid, and a clean audit', {
  timeout: 200_000,
}, async () => {
  const unended = async () =>
    (await witness.query('select count(*)::int as n from payments.attempts where lease_until is not null')).rows[0].n
  for (let waited = 0; waited < 150 && (await unended()) > 0; waited += 1) await pause(1_000)
  expect(await unended()).toBe(0)
  const charged = new Set<string>()
  for (const { payment } of placed) {
    const headers = { authorization: `Bearer ${cluster.sandboxKey}` }
    const response = await fetch(`${cluster.sandboxUrl}/v1/payments?reference=${payment.id}`, { headers })
    const { data } = (await response.json()) as { data: { amountCaptured: number }[] }
    const charges = data.filter(({ amountCaptured }) => amountCaptured > 0)
    expect(charges.length).toBeLessThanOrEqual(1)
    if (charges.length === 1) charged.add(payment.id)
  }
  const { rows } = await witness.query(`select id from payments.payments where status = 'captured'`)
  expect(new Set(rows.map(({ id }) => id))).toEqual(charged)
  const { code, output } = await cluster.stoa('audit', '--json')
  expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
})

/** People browse, 60 pay at one moment, and some more after them. */
async function payAndBrowse() {
  const [first, later] = [await placeOrders(AT_ONCE), await placeOrders(MORE * QUARTERS)]
  const browsing = await startBrowsing()
  const began = Date.now()
  const paying = [payAll(first)]
  for (let quarter = 0; quarter < QUARTERS; quarter += 1) {
    await pause(250)
    paying.push(payAll(later.slice(quarter * MORE, (quarter + 1) * MORE)))
  }
  const times = await browsing.stop()
  const replies = (await Promise.all(paying)).flat()
  return {
    p99Ms: times.sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] as number,
    openedMs: cluster.services.map((service) => openedAt(service.output(), began) - began),
    outcomes: countOf(replies.map(({ status, body }) => body?.decline?.code ?? body?.status ?? `no answer ${status}`)),
  }
}

const countOf = (words: readonly string[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(words, (word) => word)].map(([word, same]) => [word, same.length]))

/** When a process first said, since then, that it has given its provider up; never is infinity. */
function openedAt(output: string, since: number): number {
  const lines = output.split('\n').filter((line) => line.includes('calls to it are refused'))
  const times = lines.map((line) => Date.parse(JSON.parse(line).time)).filter((time) => time >= since)
  return Math.min(...times)
}

async function placeOrders(count: number): Promise<Order[]> {
  const orders: Order[] = []
  const buyer = async (i: number) => {
    for (let left = Math.ceil((count - i) / BROWSERS); left > 0; left -= 1) {
      const cart = await fillCart(url(i), [{ variantId, quantity: 1 }])
      orders.push((await placeOrder(url(i), cart as { id: string; token: string })).body)
    }
  }
  await Promise.all(Array.from({ length: BROWSERS }, (_, i) => buyer(i)))
  placed.push(...orders)
  return orders
}

const payAll = (orders: readonly Order[]): Promise<Reply[]> => Promise.all(orders.map((order, i) => pay(url(i), order)))

/** People who look at the list, a product and their cart, again and again; how long each answer took, in milliseconds. */
async function startBrowsing() {
  let isOn = true
  const times: number[] = []
  const browse = async (i: number) => {
    const cart = (await fillCart(url(i), [{ variantId, quantity: 1 }])) as { id: string; token: string }
    while (isOn)
      for (const path of ['/v1/products', '/v1/products/mug', `/v1/carts/${cart.id}`]) {
        const began = performance.now()
        const { status } = await send(url(i), 'GET', path, undefined, { 'x-cart-token': cart.token })
        times.push(performance.now() - began)
        expect(status).toBe(200)
        await pause(10)
      }
  }
  const browsers = Promise.all(Array.from({ length: BROWSERS }, (_, i) => browse(i)))
  await pause(200)
  return {
    stop: async () => {
      isOn = false
      await browsers
      return times
    },
  }
}

/** Until each process has found out that its provider is well again. */
async function untilBothPay(): Promise<void> {
  for (const service of cluster.services)
    await expect
      .poll(
        async () => {
          const [order] = await placeOrders(1)
          return (await pay(service.url, order as Order)).body?.status
        },
        { timeout: 20_000, interval: 500 },
      )
      .toBe('succeeded')
}
