import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillCart, pay, placeOrder, send, variantOf, waitForOrder } from './buyer.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'
import { type Cluster, startCluster } from './processes.ts'

/** What the other tests break a shop with, on a shop of its own: two services, a worker, a PostgreSQL. */
let postgres: TestPostgres
let cluster: Cluster
const passed = join(tmpdir(), `stoa-passed-${process.pid}`)
beforeAll(async () => {
  postgres = await startPostgres()
  appendFileSync(passed, '')
  cluster = await startCluster(postgres, { services: 2, workers: 1, env: { FAILPOINTS_PASSED: passed } })
  await cluster.stock({ mug: 10 })
}, 90_000)
afterAll(async () => {
  await cluster?.stop()
  await postgres?.stop()
  rmSync(passed, { force: true })
})

const url = () => cluster.services[0].url

async function anOrder() {
  const cart = await fillCart(url(), [{ variantId: await variantOf(url(), 'mug'), quantity: 1 }])
  const { status, body } = await placeOrder(url(), cart as { id: string; token: string })
  expect(status).toBe(201)
  return body
}

test('PostgreSQL writes to disk as a shop wants it to', async () => {
  for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit'])
    expect(await postgres.query(`show ${setting}`)).toEqual([{ [setting]: 'on' }])
})

test('the worker does the work of the services, and can be hung', async () => {
  const order = await anOrder()
  cluster.workers[0]?.hang()
  expect((await pay(url(), order)).status).toBe(201)
  expect(await waitForOrder(url(), order, ['paid'], 1_500)).toBe('pending')
  cluster.workers[0]?.resume()
  expect(await waitForOrder(url(), order, ['paid'])).toBe('paid')
})

test('places that were passed are written down', () => {
  expect(readFileSync(passed, 'utf8').split('\n')).toContain('stock.held pass')
})

test('the clock of all processes moves: what nobody paid is given back', async () => {
  const order = await anOrder()
  await cluster.advance(20)
  expect(await waitForOrder(url(), order, ['expired'])).toBe('expired')
}, 20_000)

test('PostgreSQL hangs, dies and comes again, and the services live', async () => {
  const pids = () => cluster.services.map(({ pid }) => pid())
  const before = pids()
  postgres.hang()
  const silent = send(url(), 'GET', '/health/ready')
  postgres.resume()
  expect((await silent).status).toBe(200)
  await postgres.kill()
  expect((await send(url(), 'POST', '/v1/carts', { currency: 'USD' })).status).toBe(503)
  await postgres.start()
  await anOrder()
  expect(pids()).toEqual(before)
}, 60_000)
