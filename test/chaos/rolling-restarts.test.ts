import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { shopComesToRest } from '../kit/at-rest.ts'
import { type Balancer, startBalancer } from '../kit/balancer.ts'
import { variantOf } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { startTraffic } from '../kit/traffic.ts'
import { verdict, whichHold } from '../kit/verdict.ts'
import { audited } from '../kit/witnesses.ts'

const RESTARTS = sized(2, 20)
const ROUND_MS = sized(0, 8_100)
const PER_SECOND = sized(100, 125)
const FEWEST = sized(0, 20_000)

let cluster: Cluster
let balancer: Balancer
let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2, env: { DRAIN_MS: '3000' } })
  await cluster.stock({ mug: 100_000 })
  balancer = await startBalancer(cluster.services.map(({ url }) => url))
}, 60_000)
afterAll(async () => {
  await balancer.close()
  await cluster.stop()
  await database.drop()
})

test('P19: two processes behind a load balancer are restarted in turn under load, and no request fails', {
  timeout: 300_000,
}, async () => {
  const traffic = startTraffic(balancer.url, await variantOf(balancer.url, 'mug'), PER_SECOND)
  for (let round = 0; round < RESTARTS; round += 1) {
    const service = cluster.services[round % 2]!
    const over = pause(ROUND_MS)
    await expect.poll(balancer.ready, { timeout: 20_000 }).toBe(2)
    expect(await service.end('SIGTERM')).toBe(0)
    await service.start()
    await over
  }
  const { sent, failed, p99Ms } = await traffic.stop()
  await shopComesToRest(database.ownerUrl, 60_000)
  verdict({
    promise: 'P19',
    tried: `${RESTARTS} rolling restarts of two processes at ${PER_SECOND} requests/s, reads, carts, orders and payments`,
    n: sent,
    p99Ms,
    violations: [...failed, ...whichHold({ [`${sent} requests only`]: sent < FEWEST }), ...(await audited(cluster))],
  })
})
