import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillCart, placeOrder, type Reply, send, variantOf } from '../kit/buyer.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { freePort } from '../kit/free-port.ts'
import { type Cluster, type Running, startCluster, startProcess } from '../kit/processes.ts'
import type { StripeLedger } from '../kit/stripe/ledger.ts'
import { openToxicProxy, type Toxic, type ToxicProxy } from '../kit/toxics.ts'

/** P14: a slow or dead provider cannot take the shop down. Two processes, with four database connections each. */
const AT_ONCE = 60
/** After those at once, so many more begin to pay in each quarter of a second, for so many of them. */
const MORE = 2
const QUARTERS = 24
const BROWSERS = 3
const ROUNDS = 3

const HOLE: Toxic = { type: 'black-hole' }
const ERRORS: Toxic = { type: 'errors', rate: 0.5 }
const STRIPE = { url: '', key: 'sk_test_double', secret: 'whsec_slow' }

type Order = { readonly id: string; readonly token: string; readonly payment: { readonly id: string } }

let database: TestDatabase
/** In the service's own role: only that sees what its connections do. */
let witness: pg.Client
let stripe: Running
let proxies: { readonly stripe: ToxicProxy; readonly sandbox: ToxicProxy }
let cluster: Cluster
let variantId: string
let method: keyof typeof proxies
const placed: Order[] = []
const url = (i: number) => cluster.services[i % 2]!.url

beforeAll(async () => {
  database = await testDatabase()
  witness = new pg.Client({ connectionString: database.url })
  await witness.connect()
  const port = String(await freePort())
  STRIPE.url = `http://127.0.0.1:${port}`
  const double = join(import.meta.dirname, '../kit/stripe/main.ts')
  stripe = await startProcess(STRIPE.url, [
    double,
    ...['--port', port, '--api-key', STRIPE.key, '--secret', STRIPE.secret],
  ])
  proxies = {
    stripe: await openToxicProxy(() => new URL(STRIPE.url)),
    sandbox: await openToxicProxy(() => new URL(cluster.sandboxUrl)),
  }
  cluster = await startCluster(database, {
    services: 2,
    env: {
      ...{ STRIPE_URL: proxies.stripe.url, STRIPE_SECRET_KEY: STRIPE.key, STRIPE_WEBHOOK_SECRET: STRIPE.secret },
      ...{ SANDBOX_URL: proxies.sandbox.url, DATABASE_CONNECTIONS: '4' },
    },
  })
  await cluster.stock({ mug: 100_000 })
  variantId = await variantOf(url(0), 'mug')
}, 120_000)
afterAll(async () => {
  await cluster.stop()
  await stripe.end('SIGTERM')
  await Promise.all(Object.values(proxies).map((proxy) => proxy.close()))
  await witness.end()
  await database.drop()
})

describe.each([
  ['stripe', { LATE: { type: 'latency', ms: 10_000, jitterMs: 500 }, HOLE, RESET: { type: 'reset' }, ERRORS }],
  ['sandbox', { DRIP: { type: 'drip', everyMs: 100 } }],
] as const)('%s', (name, toxics) => {
  beforeAll(async () => {
    method = name
    // The first of each compile what they run: that is another matter.
    await payAll(await placeOrders(20))
    await startBrowsing().then(({ stop }) => stop())
  })

  test.each(Object.entries(toxics))(
    '%s: people browse as before; a dead provider is given up within 5 s',
    {
      timeout: 180_000,
    },
    async (what, toxic: Toxic) => {
      const [ratios, openedMs]: [number[], number[]] = [[], []]
      const isGood = () => ratios.some((ratio) => ratio <= 1.2) && openedMs.some((ms) => ms <= 5_000)
      while (ratios.length < ROUNDS && !isGood()) {
        const before = await payAndBrowse()
        proxies[method].set(toxic)
        const during = await payAndBrowse()
        proxies[method].set()
        ratios.push(during.p99Ms / before.p99Ms)
        openedMs.push(toxic === ERRORS ? 0 : Math.max(...during.openedMs))
        console.log(
          `${name}, ${what}: browse p99 ${before.p99Ms.toFixed(1)} ms before, ${during.p99Ms.toFixed(1)} ms during: ` +
            `${(during.p99Ms / before.p99Ms).toFixed(2)} times; given up after ${during.openedMs.join(' and ')} ms; ` +
            JSON.stringify(during.outcomes),
        )
        expect(before.outcomes.succeeded).toBeGreaterThan((AT_ONCE + MORE * QUARTERS) * 0.95)
        // Half of the answers are enough for most people to pay.
        if (toxic === ERRORS) expect(during.outcomes.succeeded).toBeGreaterThan((AT_ONCE + MORE * QUARTERS) / 2)
        else expect(during.outcomes['provider-unavailable']).toBeGreaterThan(0)
        await untilBothPay()
      }
      expect(Math.min(...ratios)).toBeLessThanOrEqual(1.2)
      expect(Math.min(...openedMs)).toBeLessThanOrEqual(5_000)
    },
  )

  test('60 attempts that hang hold no database connection', { timeout: 60_000 }, async () => {
    const orders = await placeOrders(AT_ONCE)
    proxies[method].set(HOLE)
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
    proxies[method].set()
    expect((await paying).map(({ status }) => status)).toEqual(orders.map(() => 201))
    expect(seen.map(({ held }) => held)).toEqual(seen.map(() => 0))
    expect(seen.map(({ busy }) => busy).sort((a, b) => a - b)[seen.length / 2]).toBe(0)
    await untilBothPay()
  })
})

test('afterwards every attempt ends, one charge per order that was paid, and a clean audit', {
  timeout: 200_000,
}, async () => {
  const unended = async () =>
    (await witness.query('select count(*)::int as n from payments.attempts where lease_until is not null')).rows[0].n
  for (let waited = 0; waited < 150 && (await unended()) > 0; waited += 1) await pause(1_000)
  expect(await unended()).toBe(0)
  const charges = await chargesOf(placed.map(({ payment }) => payment.id))
  expect(charges.length).toBe(new Set(charges).size)
  const { rows } = await witness.query(`select id from payments.payments where status = 'captured'`)
  expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(charges))
  const { code, output } = await cluster.stoa('audit', '--json')
  expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
})

/** The payment of each charge that a provider made. */
async function chargesOf(payments: readonly string[]): Promise<string[]> {
  const charges: string[] = []
  const headers = { authorization: `Bearer ${cluster.sandboxKey}` }
  for (const id of payments) {
    const response = await fetch(`${cluster.sandboxUrl}/v1/payments?reference=${id}`, { headers })
    const { data } = (await response.json()) as { data: { amountCaptured: number }[] }
    charges.push(...data.filter(({ amountCaptured }) => amountCaptured > 0).map(() => id))
  }
  const { intents } = (await (await fetch(`${STRIPE.url}/control/ledger`)).json()) as StripeLedger
  for (const { captured, metadata } of Object.values(intents))
    if (captured > 0) charges.push(metadata.paymentId as string)
  return charges
}

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

const payAll = (orders: readonly Order[]): Promise<Reply[]> =>
  Promise.all(orders.map((order, i) => payAt(url(i), order)))

function payAt(at: string, { token, payment }: Order): Promise<Reply> {
  const wanted = { method, token: method === 'stripe' ? 'pm_card_visa' : 'tok_ok' }
  return send(at, 'POST', `/v1/payments/${payment.id}/attempts`, wanted, { 'x-order-token': token })
}

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
          return (await payAt(service.url, order as Order)).body?.status
        },
        { timeout: 20_000, interval: 500 },
      )
      .toBe('succeeded')
}
