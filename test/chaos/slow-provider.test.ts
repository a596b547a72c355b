import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { comeToRest } from '../kit/at-rest.ts'
import { startBrowsing } from '../kit/browsing.ts'
import { fillCart, placeOrder, type Reply, send, variantOf } from '../kit/buyer.ts'
import { FULL } from '../kit/chaos.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { freePort } from '../kit/free-port.ts'
import { type Cluster, type Running, startCluster, startProcess } from '../kit/processes.ts'
import type { StripeLedger } from '../kit/stripe/ledger.ts'
import { openToxicProxy, type Toxic, type ToxicProxy } from '../kit/toxics.ts'
import { inRound, p99Of, verdict, whichHold } from '../kit/verdict.ts'
import { audited, readSandbox } from '../kit/witnesses.ts'

/** P14: a slow or dead provider cannot take the shop down. Two processes, with four database connections each. */
const AT_ONCE = 60
/** Between two of them: begun in one instant, they would be given up in one, and that is what browsers would measure. */
const APART_MS = 10
/** After those at once, so many more begin to pay in each quarter of a second, for so many of them. */
const MORE = 2
const QUARTERS = 20
const PAYING = AT_ONCE + MORE * QUARTERS
const BROWSERS = 3
const ROUNDS = 3
const AFTER_EVERY_LEASE_MINUTES = 1

const HOLE: Toxic = { type: 'black-hole' }
const ERRORS: Toxic = { type: 'errors', rate: 0.5 }
const STRIPE = { url: '', key: 'sk_test_double', secret: 'whsec_slow' }

const WORDS: Partial<Record<Toxic['type'], string>> = {
  latency: 'is 10 s late',
  'black-hole': 'says nothing',
  reset: 'hangs up',
  errors: 'fails every other time',
  drip: 'says a byte in a tenth of a second',
}

type Round = { readonly before: Seen; readonly during: Seen }
type Seen = Awaited<ReturnType<typeof payAndBrowse>>
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
    await startBrowsing(BROWSERS, url, variantId).then(({ stop }) => stop())
  })

  const tried = Object.entries<Toxic>(toxics).filter(([what]) => FULL || !['LATE', 'RESET'].includes(what))
  test.each(tried)(
    '%s: people browse as before; a dead provider is given up within 5 s',
    {
      timeout: 180_000,
    },
    async (what, toxic) => {
      const [rounds, violations]: [Round[], string[]] = [[], []]
      const ratioOf = ({ before, during }: Round) => during.p99Ms / before.p99Ms
      // Where half of the answers are good, nobody need be given up.
      const openedMs = ({ during }: Round) => (toxic === ERRORS ? 0 : Math.max(...during.openedMs))
      const isGood = (round: Round) => ratioOf(round) <= 1.2 && openedMs(round) <= 5_000
      while (rounds.length < ROUNDS && !rounds.some(isGood)) {
        const before = await payAndBrowse()
        proxies[method].set(toxic)
        const during = await payAndBrowse()
        proxies[method].set()
        const round = { before, during }
        rounds.push(round)
        console.log(
          `${name}, ${what}: browse p99 ${before.p99Ms.toFixed(1)} ms before, ${during.p99Ms.toFixed(1)} ms during: ` +
            `${ratioOf(round).toFixed(2)} times; given up after ${during.openedMs.join(' and ')} ms; ` +
            JSON.stringify(during.outcomes),
        )
        violations.push(
          ...[...before.wrong, ...during.wrong],
          ...whichHold({
            [`before: ${JSON.stringify(before.outcomes)}`]: !(paid(before) > PAYING * 0.95),
            // Half of the answers are enough for most people to pay.
            [`paid: ${paid(during)} of ${PAYING}`]: toxic === ERRORS && !(paid(during) > PAYING / 2),
            'nobody heard that the provider is unavailable':
              toxic !== ERRORS && !((during.outcomes['provider-unavailable'] ?? 0) > 0),
          }),
        )
        await untilBothPay()
      }
      const good = rounds.find(isGood)
      if (!good)
        violations.push(
          ...rounds.map((round) => `browse p99 is ${ratioOf(round)} times, given up after ${openedMs(round)} ms`),
        )
      verdict({
        promise: 'P14',
        tried: `looks at the shop while ${name} ${WORDS[toxic.type]}${inRound(rounds.length)}`,
        n: (good ?? rounds[0])?.during.looks ?? 0,
        violations,
        ...(good && { p99Ms: good.during.p99Ms }),
      })
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
    const statuses = countOf((await paying).map(({ status }) => String(status)))
    const busy = seen.map((one) => one.busy).sort((a, b) => a - b)[seen.length / 2]
    verdict({
      promise: 'P14',
      tried: `attempts that wait for ${name} at once, and what connections they hold`,
      n: AT_ONCE,
      violations: [
        ...seen.filter(({ held }) => held > 0).map(({ held }) => `${held} connections are held`),
        ...whichHold({
          [`${busy} connections are busy`]: busy !== 0,
          [`answers: ${JSON.stringify(statuses)}`]: statuses['201'] !== AT_ONCE,
        }),
      ],
    })
    await untilBothPay()
  })
})

test('afterwards every attempt ends, one charge per order that was paid, and a clean audit', {
  timeout: 200_000,
}, async () => {
  await cluster.advance(AFTER_EVERY_LEASE_MINUTES)
  const query = async (text: string) => (await witness.query(text)).rows
  await comeToRest(query, 150_000, async () => 0)
  const charged = await charges()
  const booked = (await query(`select id from payments.payments where status = 'captured'`)).map(({ id }) => id)
  verdict({
    promise: 'P14',
    tried: 'orders whose provider was slow, dead, or failed, and what was charged for them',
    n: placed.length,
    violations: [
      ...whichHold({ 'a payment was charged twice': charged.length !== new Set(charged).size }),
      ...charged.filter((id) => !booked.includes(id)).map((id) => `${id} was charged, not booked`),
      ...booked.filter((id) => !charged.includes(id)).map((id) => `${id} was booked, not charged`),
      ...(await audited(cluster)),
    ],
  })
})

/** The payment of each charge that a provider made. */
async function charges(): Promise<string[]> {
  const { intents } = (await (await fetch(`${STRIPE.url}/control/ledger`)).json()) as StripeLedger
  const atStripe = Object.values(intents).map(({ captured, metadata }) => ({ captured, paymentId: metadata.paymentId }))
  const taken = [...(await readSandbox(cluster)), ...atStripe]
  return taken.filter(({ captured }) => captured > 0).map(({ paymentId }) => paymentId as string)
}

/** People browse, 60 begin to pay in a third of a second, and some more after them. */
async function payAndBrowse() {
  const [first, later] = [await placeOrders(AT_ONCE), await placeOrders(MORE * QUARTERS)]
  const browsing = await startBrowsing(BROWSERS, url, variantId)
  const began = Date.now()
  const paying = [payAll(first, APART_MS)]
  for (let quarter = 0; quarter < QUARTERS; quarter += 1) {
    await pause(250)
    paying.push(payAll(later.slice(quarter * MORE, (quarter + 1) * MORE)))
  }
  const { times, wrong } = await browsing.stop()
  const replies = (await Promise.all(paying)).flat()
  return {
    ...{ wrong, looks: times.length },
    p99Ms: p99Of(times),
    openedMs: cluster.services.map((service) => openedAt(service.output(), began) - began),
    outcomes: countOf(replies.map(({ status, body }) => body?.decline?.code ?? body?.status ?? `no answer ${status}`)),
  }
}

const paid = ({ outcomes }: Seen): number => outcomes.succeeded ?? 0

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

const payAll = (orders: readonly Order[], apartMs = 0): Promise<Reply[]> =>
  Promise.all(orders.map((order, i) => pause(i * apartMs).then(() => payAt(url(i), order))))

function payAt(at: string, { token, payment }: Order): Promise<Reply> {
  const wanted = { method, token: method === 'stripe' ? 'pm_card_visa' : 'tok_ok' }
  return send(at, 'POST', `/v1/payments/${payment.id}/attempts`, wanted, { 'x-order-token': token })
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
