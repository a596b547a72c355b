import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, test } from 'vitest'
import { WatchedClient } from '#platform/db/watched-client.ts'
import { comeToRest, jobsLeft } from '../kit/at-rest.ts'
import { fillCart, placeOrder, type Reply, variantOf } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { openSmtp, type Smtp } from '../kit/smtp.ts'
import { openToxicProxy, type ToxicProxy } from '../kit/toxics.ts'
import { startTraffic } from '../kit/traffic.ts'
import { verdict, whichHold } from '../kit/verdict.ts'
import { audited, mailingTo } from '../kit/witnesses.ts'

/** P15: a restart or stall of the database heals by itself. A service and a worker, whose database is behind a wire. */
const PER_SECOND = 30
const UNDISTURBED_MS = 700
/** Longer than it takes to notice. */
const STALL_MS = sized(9_000, 30_000)
const HOLE_MS = sized(6_000, 30_000)
const BACK_MS = 5_000
const DONE_MS = 15_000
/** A worker's job is taken from it after 8 s without a sign of life. */
const JOBS_MS = 25_000
const SOON_MS = 10_000
const AFTER_EVERY_LEASE_MINUTES = 4
const SLOW_SECONDS = 4
const RACES = sized(20, 200)

let postgres: TestPostgres
let smtp: Smtp
let link: ToxicProxy
let cluster: Cluster
let url: string
let variantId: string
beforeAll(async () => {
  ;[postgres, smtp] = await Promise.all([startPostgres(), openSmtp({ user: 'shop', pass: 'secret' })])
  link = await openToxicProxy(() => new URL(postgres.url))
  const database = { ...postgres, url: postgres.url.replace(new URL(postgres.url).host, new URL(link.url).host) }
  cluster = await startCluster(database, { services: 1, workers: 1, env: { DRAIN_MS: '0', ...mailingTo(smtp) } })
  url = cluster.services[0].url
  await cluster.stock({ mug: 1_000_000 })
  variantId = await variantOf(url, 'mug')
}, 90_000)
afterAll(async () => {
  link?.set()
  postgres?.resume()
  await cluster?.stop()
  await Promise.all([postgres?.stop(), smtp?.close()])
  await link?.close()
})

const processes = () => [...cluster.services, ...cluster.workers]
const saysWhenToRepeat = ({ status, retryAfter }: Reply) => status === 503 && Number(retryAfter) >= 1

/** Buys one thing; resolves with what went wrong. */
async function order(email: string): Promise<string[]> {
  const cart = await fillCart(url, [{ variantId, quantity: 1 }], { email })
  if (!('token' in cart)) return [`cart: ${cart.status} ${cart.body?.code}`]
  const { status, body } = await placeOrder(url, cart)
  return status === 201 ? [] : [`order: ${status} ${body?.code}`]
}

/** Waits until it holds; resolves with the milliseconds, undefined when it was in vain. */
async function until(holds: () => Promise<boolean> | boolean, timeoutMs: number): Promise<number | undefined> {
  for (const from = performance.now(); performance.now() - from < timeoutMs; await pause(20))
    if (await holds()) return performance.now() - from
  return undefined
}

const listensSince = async (moment: Date): Promise<boolean> =>
  (
    await postgres.query(
      `select from pg_stat_activity where query = 'listen stoa_events' and backend_start > $1 and usename = 'stoa_app'`,
      [moment],
    )
  ).length > 0

const jobsHeld = () => postgres.query('select from graphile_worker._private_jobs where locked_at is not null')

/** By what happens to it. */
const FAULTS: readonly [string, () => unknown][] = [
  [
    'every backend terminated',
    () => postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'stoa_app'`),
  ],
  ['every connection reset', () => link.resetAll()],
  ['a restart', () => postgres.end().then(() => postgres.start())],
  ['kill -9 and a start', () => postgres.kill().then(() => postgres.start())],
  [
    `a stall of ${STALL_MS / 1_000} s`,
    async () => {
      // The worker has looked for jobs and looks again in its midst: when it goes on, these are given to nobody.
      await postgres.query(
        `select graphile_worker.add_job('platform.forget', run_at := now() + interval '1.5 seconds') from generate_series(1, 8)`,
      )
      await pause(500)
      postgres.hang()
      await pause(STALL_MS)
      postgres.resume()
    },
  ],
  [
    `a black hole of ${HOLE_MS / 1_000} s`,
    async () => {
      link.set({ type: 'black-hole' })
      await pause(HOLE_MS)
      link.set()
    },
  ],
]

test.each(FAULTS)('P15: %s of the database heals by itself', { timeout: 120_000 }, async (fault, happens) => {
  const before = processes().map((one) => one.pid())
  const traffic = startTraffic(url, variantId, PER_SECOND, saysWhenToRepeat)
  await pause(UNDISTURBED_MS)
  const moment = (await postgres.query('select clock_timestamp() as now'))[0].now
  await happens()
  const email = `${randomUUID()}@example.com`
  const backMs = await until(async () => (await order(email)).length === 0, 4 * BACK_MS)
  const listens = await until(() => listensSince(moment), BACK_MS)
  const { sent, failed, p99Ms } = await traffic.stop()
  const mailed = await until(() => smtp.received.some(({ recipients }) => recipients.includes(email)), DONE_MS)
  const freed = await until(async () => (await jobsHeld()).length === 0, JOBS_MS)
  verdict({
    promise: 'P15',
    tried: `requests, orders again ≤ 5 s after ${fault} of the database`,
    n: sent,
    p99Ms,
    violations: [
      ...failed,
      ...whichHold({
        [`an answer in a hundred took ${p99Ms} ms`]: p99Ms > SOON_MS,
        [`orders again after ${backMs} ms`]: backMs === undefined || backMs > BACK_MS,
        'the worker does not listen again': listens === undefined,
        'jobs are held by a worker that does not run them': freed === undefined,
        'the order of afterwards had no mail': mailed === undefined,
        'a process has ended': processes().some((one, index) => one.isGone() || one.pid() !== before[index]),
      }),
    ],
  })
})

/** From now on something is done before each order is written. */
const beforeOrders = (what: string) =>
  postgres.query(`
    create schema if not exists test; grant usage on schema test to stoa_app;
    create sequence if not exists test.orders;
    create or replace function test.meddle() returns trigger language plpgsql security definer as
      $$ begin ${what} return new; end $$;
    create or replace trigger test before insert on orders.orders execute function test.meddle()`)

test('P15: a transaction that loses to another one, or to a deadlock, is run again', async () => {
  await beforeOrders(`
    case nextval('test.orders') % 4
      when 1 then raise 'lost' using errcode = '40001';
      when 3 then raise 'lost' using errcode = '40P01';
      else null; end case;`)
  const violations: string[] = []
  for (let n = 0; n < RACES; n += 1) violations.push(...(await order('ann@example.com')))
  const [{ tries }] = await postgres.query('select last_value::int as tries from test.orders')
  await postgres.query('drop trigger test on orders.orders')
  const isOther = { [`${tries} tries of ${RACES} orders`]: tries !== 2 * RACES }
  verdict({
    promise: 'P15',
    tried: 'orders that fail with 40001 or 40P01 first',
    n: RACES,
    violations: [...violations, ...whichHold(isOther)],
  })
})

test('P15: a statement that takes long is let end, and the connections beside it stay', async () => {
  await beforeOrders(`perform pg_sleep(${SLOW_SECONDS});`)
  const connections = () => postgres.query(`select pid from pg_stat_activity where query = 'listen stoa_events'`)
  const before = await connections()
  const violations = (await Promise.all([1, 2, 3].map(() => order('ann@example.com')))).flat()
  await postgres.query('drop trigger test on orders.orders')
  verdict({
    promise: 'P15',
    tried: `orders whose statement takes ${SLOW_SECONDS} s`,
    n: 3,
    violations: [
      ...violations,
      ...whichHold({ 'the worker listens anew': JSON.stringify(await connections()) !== JSON.stringify(before) }),
    ],
  })
})

const endOf = (client: WatchedClient) => new Promise((ended) => client.once('end', ended))

test('P15: connections that died beside a server that is well are cut, not one that it works for, even if it is full', async () => {
  const wire = await openToxicProxy(() => new URL(postgres.url))
  await postgres.query('create database crowded connection limit 1')
  const open = async (database: string) => {
    const client = new WatchedClient({
      connectionString: `postgres://stoa_app@${new URL(wire.url).host}/${database}`,
    })
    await client.connect()
    return client
  }
  const clients = await Promise.all(['stoa', 'stoa', 'stoa', 'crowded'].map(open))
  const [dead, resting, working, crowded] = clients as [WatchedClient, WatchedClient, WatchedClient, WatchedClient]
  const sleep = `select pg_sleep(${SLOW_SECONDS})`
  const slow = Promise.allSettled([working, crowded].map((client) => client.query(sleep)))
  await until(
    async () => (await postgres.query(`select from pg_stat_activity where query = '${sleep}'`)).length === 2,
    5_000,
  )
  wire.set({ type: 'black-hole' })
  const isKept = Promise.race([endOf(resting).then(() => false), slow.then(() => true)])
  const lost = dead.query('select 1').catch(({ code }) => code)
  await pause(200)
  wire.set()
  const from = performance.now()
  const code = await Promise.race([lost, pause(2 * BACK_MS)])
  const ms = performance.now() - from
  const ended = (await slow).map(({ status }) => status)
  await Promise.all(clients.map((client) => client.end()))
  await wire.close()
  verdict({
    promise: 'P15',
    tried: 'connections, one dead, one at rest, and two with statements of 4 s',
    n: clients.length,
    violations: whichHold({
      [`the statement on a dead one ended with ${code} after ${ms} ms`]: code !== 'ECONNABORTED' || ms > BACK_MS,
      'the connection at rest was kept': await isKept,
      [`the statements of 4 s: ${ended}`]: ended.some((status) => status !== 'fulfilled'),
    }),
  })
})

test('P15: the books hold after all of it', { timeout: 90_000 }, async () => {
  await cluster.advance(AFTER_EVERY_LEASE_MINUTES)
  await comeToRest(postgres.query, 60_000, () => jobsLeft(postgres.query))
  verdict({ promise: 'P15', tried: 'the books after all of it', n: 1, violations: await audited(cluster) })
})
