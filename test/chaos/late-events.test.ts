import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillCart, pay, placeOrder, variantOf, waitForOrder } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { p99Of, verdict } from '../kit/verdict.ts'

/** P9: events wait for workers that are down, and are found without anybody who tells of them. */
const CLIENTS = 4
const CATCHES_UP_MS = 20_000

let postgres: TestPostgres
let cluster: Cluster
let variantId: string
beforeAll(async () => {
  postgres = await startPostgres()
  cluster = await startCluster(postgres, { services: 2, workers: 2 })
  await cluster.stock({ mug: 100_000 })
  variantId = await variantOf(cluster.services[0].url, 'mug')
}, 90_000)
afterAll(async () => {
  await cluster?.stop()
  await postgres?.stop()
})

const count = async (what: string): Promise<number> =>
  Number((await postgres.query(`select count(*) from ${what}`))[0].count)

test('P9: checkout goes on while all workers are down, and everything catches up', async () => {
  await Promise.all(cluster.workers.map((worker) => worker.end('SIGKILL')))
  const [tookMs, violations]: [number[], string[]] = [[], []]
  const buy = async (client: number) => {
    for (let n = 0; n < sized(10, 100); n += 1) {
      const { url } = cluster.services[(client + n) % 2] as Cluster['services'][0]
      const cart = (await fillCart(url, [{ variantId, quantity: 1 }])) as { id: string; token: string }
      const from = performance.now()
      const order = await placeOrder(url, cart)
      const paid = await pay(url, order.body)
      tookMs.push(performance.now() - from)
      if (order.status !== 201 || paid.status !== 201) violations.push(`answered ${order.status} and ${paid.status}`)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => buy(client)))
  const late = () => count('platform.events where published_at is null')
  const behind = await late()
  const from = performance.now()
  await Promise.all([
    ...cluster.workers.map((worker) => worker.start()),
    expect.poll(late, { timeout: CATCHES_UP_MS, interval: 20 }).toBe(0),
  ])
  const perSecond = Math.round(behind / ((performance.now() - from) / 1_000))
  const pending = await count(`orders.orders where status = 'pending'`)
  verdict({
    promise: 'P9',
    tried: `purchases while all workers are down; then ${behind} events caught up, ${perSecond} a second, the start of the workers included`,
    n: tookMs.length,
    violations: [...violations, ...(pending > 0 ? [`${pending} orders are pending still`] : [])],
    p99Ms: p99Of(tookMs),
  })
}, 120_000)

test('P9: with every connection that listens cut off, what happened is found within 2 s', async () => {
  const tookMs: number[] = []
  let stop = false
  const cutting = (async () => {
    for (; !stop; await pause(100))
      await postgres.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen stoa_events'`,
      )
  })()
  const { url } = cluster.services[0]
  const buy = async () => {
    for (let n = 0; n < sized(2, 20); n += 1) {
      const cart = (await fillCart(url, [{ variantId, quantity: 1 }])) as { id: string; token: string }
      const { body: order } = await placeOrder(url, cart)
      await pay(url, order)
      const from = performance.now()
      await waitForOrder(url, order, ['paid'])
      tookMs.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, buy))
  stop = true
  await cutting
  const late = tookMs.filter((ms) => ms > 2_000)
  verdict({
    promise: 'P9',
    tried: 'orders paid while nobody hears a NOTIFY',
    n: tookMs.length,
    violations: late.map((ms) => `paid after ${ms} ms`),
    p99Ms: p99Of(tookMs),
  })
}, 60_000)
