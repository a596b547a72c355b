import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { comeToRest, jobsLeft } from '../kit/at-rest.ts'
import { fillCart, pay, placeOrder, send, variantOf } from '../kit/buyer.ts'
import { SEED, shuffled, sized } from '../kit/chaos.ts'
import { neverTold, violationsIn } from '../kit/checker.ts'
import { openHistory } from '../kit/history.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, type ShopProcess, startCluster } from '../kit/processes.ts'
import { p99Of, verdict } from '../kit/verdict.ts'
import { audited, readBooks, readSandbox } from '../kit/witnesses.ts'

/** A shop's PostgreSQL as it comes: what it acknowledges is on disk. */
const SETTINGS: Readonly<Record<string, string>> = {}
const KILLS = sized(4, 36)
const ORDERS = sized(100, 5_000)
const BUYERS = sized(4, 12)
const UNDISTURBED_MS = sized(700, 1_100)
const BACK_MS = 10_000

let postgres: TestPostgres
let cluster: Cluster
let variants: string[]
beforeAll(async () => {
  postgres = await startPostgres(SETTINGS)
  const env = { DRAIN_MS: '0', PAYMENT_TIMEOUT_MS: '2000', HOLD_MINUTES: '60' }
  cluster = await startCluster(postgres, { services: 2, workers: 1, env })
  await cluster.stock({ mug: 1_000_000, vase: 1_000_000, hat: 1_000_000 })
  variants = await Promise.all(['mug', 'vase', 'hat'].map((handle) => variantOf(cluster.services[0].url, handle)))
}, 90_000)
afterAll(async () => {
  await cluster?.stop()
  await postgres?.stop()
})

const random = seeded(SEED)
const oneOf = <One>(all: readonly One[]): One => all[Math.floor(random() * all.length)] as One
const anyUrl = () => oneOf(cluster.services).url

/** Who dies together, each as often as the others, in an order of the seed. */
function victims(): (readonly (ShopProcess | TestPostgres)[])[] {
  const [first, second, worker] = [...cluster.services, ...cluster.workers] as ShopProcess[] as [
    ShopProcess,
    ShopProcess,
    ShopProcess,
  ]
  const sets = [[first], [second], [worker], [postgres], [postgres, first], [first, second, worker, postgres]]
  return Array.from({ length: Math.ceil(KILLS / sets.length) }, () => shuffled(sets, random))
    .flat()
    .slice(0, KILLS)
}

const isDatabase = (one: ShopProcess | TestPostgres): one is TestPostgres => one === postgres

/** Kills them in one moment and starts them again; resolves with how long after its start each service answered with a 2xx. */
async function killAndStart(dying: readonly (ShopProcess | TestPostgres)[]): Promise<number[]> {
  await Promise.all(dying.map((one) => (isDatabase(one) ? one.kill() : one.end('SIGKILL'))))
  const from = Date.now()
  if (dying.includes(postgres)) await postgres.start()
  const processes = dying.filter((one) => !isDatabase(one))
  const started = Promise.all(processes.map((one) => one.start()))
  const times = cluster.services.map(async ({ url }) => {
    while ((await send(url, 'POST', '/v1/carts', { currency: 'USD' })).status !== 201) await pause(20)
    return Date.now() - from
  })
  await started
  return Promise.all(times)
}

/** How the database writes on a connection such as the service's own. */
async function unsafeSettings(): Promise<string[]> {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  const { rows } = await client.query(
    `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit')`,
  )
  await client.end()
  expect(rows).toHaveLength(3)
  return rows
    .filter(({ setting }) => setting !== 'on')
    .map(({ name, setting }) => `the database has ${name}=${setting}`)
}

test('P1: what was acknowledged survives kill -9 of services, workers and PostgreSQL', async () => {
  const history = openHistory()
  const unsafe = await unsafeSettings()
  let acknowledged = 0
  let killing = true
  const buyer = async () => {
    while (killing || acknowledged < ORDERS) {
      const lines = shuffled(variants, random)
        .slice(0, 1 + Math.floor(random() * 2))
        .map((variantId) => ({ variantId, quantity: 1 + Math.floor(random() * 3) }))
      const cart = await fillCart(anyUrl(), lines)
      if (!('token' in cart)) {
        await pause(100)
        continue
      }
      const [key, payKey] = [randomUUID(), randomUUID()]
      const asked = { what: 'order', cartId: cart.id, lines } as const
      const { status, body: order } = await history.insist(asked, key, () => placeOrder(anyUrl(), cart, key))
      if (status !== 201) continue
      acknowledged += 1
      const paymentId: string = order.payment.id
      if (random() < 0.3)
        await history.insist({ what: 'payment', paymentId }, payKey, () => pay(anyUrl(), order, 'tok_ok', payKey))
    }
  }
  const buyers = Array.from({ length: BUYERS }, buyer)
  const backMs: number[] = []
  for (const dying of victims()) {
    await pause(UNDISTURBED_MS * (0.5 + random()))
    backMs.push(...(await killAndStart(dying)))
  }
  killing = false
  await Promise.all(buyers)
  // A mail that was being sent waits for its lease.
  await cluster.advance(4)
  // What was lost may leave others that wait for it.
  const restless = await comeToRest(postgres.query, 60_000, () => jobsLeft(postgres.query)).then(
    () => [],
    (error) => [error.message],
  )
  const evidence = { books: await readBooks(postgres.query), provider: await readSandbox(cluster) }
  verdict({
    promise: 'P1',
    tried: `orders acknowledged, ${KILLS} kills of services, workers and PostgreSQL`,
    n: acknowledged,
    violations: [
      ...unsafe,
      ...restless,
      ...neverTold(history.read()),
      ...violationsIn({ history: history.read(), ...evidence }),
      ...(await audited(cluster)),
      ...backMs.filter((ms) => ms > BACK_MS).map((ms) => `the first 2xx came ${ms} ms after the restart`),
    ],
    p99Ms: p99Of(backMs),
    seed: SEED,
  })
  history.remove()
}, 420_000)
