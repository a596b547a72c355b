import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { send, variantOf } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'

let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2, env: { DRAIN_MS: '1000', PAYMENT_TIMEOUT_MS: '2000' } })
  await cluster.stock({ mug: 100_000 })
}, 60_000)
afterAll(async () => {
  await cluster.stop()
  await database.drop()
})

test('P19: two processes restarted in turn under load drop no request', async () => {
  const [first, second] = cluster.services
  const variantId = await variantOf(first.url, 'mug')
  let upstream: readonly string[] = [first.url, second!.url]
  const counts = { sent: 0, failed: 0 }
  let stop = false
  const client = async (number: number) => {
    for (let i = number; !stop; i += 1) {
      const url = upstream[i % upstream.length]!
      const reply =
        i % 4 === 0
          ? await send(url, 'POST', '/v1/carts', { currency: 'USD', items: [{ variantId, quantity: 1 }] })
          : await send(url, 'GET', '/v1/products/mug')
      counts.sent += 1
      if (reply.status !== 200 && reply.status !== 201) counts.failed += 1
      await pause(20)
    }
  }
  const clients = Array.from({ length: 8 }, (_, number) => client(number))
  for (let round = 0; round < 4; round += 1) {
    const [leaving, staying] = round % 2 ? [second!, first] : [first, second!]
    upstream = [staying.url]
    await leaving.end('SIGTERM')
    await leaving.start()
    upstream = [first.url, second!.url]
    await pause(200)
  }
  stop = true
  await Promise.all(clients)
  expect(counts.failed).toBe(0)
  expect(counts.sent).toBeGreaterThan(200)
}, 120_000)
