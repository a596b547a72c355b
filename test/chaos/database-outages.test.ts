import { afterAll, beforeAll, expect, test } from 'vitest'
import { send } from '../kit/buyer.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, type Service, type ShopProcess, startCluster } from '../kit/processes.ts'
import { openToxicProxy, type ToxicProxy } from '../kit/toxics.ts'

const LEAVES_MS = 20_000

const behind = (proxy: ToxicProxy, url: string) => url.replace(new URL(url).host, new URL(proxy.url).host)

let postgres: TestPostgres
let link: ToxicProxy
let cluster: Cluster
beforeAll(async () => {
  postgres = await startPostgres()
  link = await openToxicProxy(() => new URL(postgres.url))
  const database = { url: behind(link, postgres.url), ownerUrl: behind(link, postgres.ownerUrl) }
  cluster = await startCluster(database, { services: 2, workers: 1, env: { DRAIN_MS: '0' } })
  await cluster.stock({ mug: 1_000_000 })
}, 90_000)
afterAll(async () => {
  link?.set()
  await cluster?.stop()
  await postgres?.stop()
  await link?.close()
})

test('services and workers end on SIGTERM while their database is silent, be it at their start', {
  timeout: 90_000,
}, async () => {
  const [service, starting, worker] = [...cluster.services, ...cluster.workers] as [Service, Service, ShopProcess]
  let isReached = false
  const silent = await openToxicProxy(() => {
    isReached = true
    return new URL(postgres.url)
  })
  silent.set({ type: 'black-hole' })
  link.set({ type: 'black-hole' })
  await starting.end('SIGKILL')
  const unready = starting.start({ DATABASE_OWNER_URL: behind(silent, postgres.ownerUrl) }).catch(() => {})
  void send(service.url, 'POST', '/v1/carts', { currency: 'USD' })
  await expect.poll(() => isReached, { timeout: 20_000 }).toBe(true)
  const from = Date.now()
  const codes = await Promise.all([service, starting, worker].map((one) => one.end('SIGTERM')))
  expect(Date.now() - from).toBeLessThan(LEAVES_MS)
  expect(codes[1]).toBe(1)
  expect(starting.output()).toMatch(/did not end within/)
  await unready
  await silent.close()
  link.set()
  await Promise.all([service, starting, worker].map((one) => one.start()))
})
