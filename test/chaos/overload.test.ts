import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, test } from 'vitest'
import { comeToRest } from '../kit/at-rest.ts'
import { send, variantOf } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import type { Tally } from '../kit/crowd.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { runToEnd } from '../kit/launch.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { verdict, whichHold } from '../kit/verdict.ts'
import { audited } from '../kit/witnesses.ts'

const CROWD = join(import.meta.dirname, '../kit/crowd.ts')
const BUYERS = 32
const [WARM_SECONDS, PEAK_SECONDS, SECONDS] = [2, sized(3, 10), sized(7, 60)]
const TIMES = 3
const LEAST_GOODPUT = 0.8
/** Of those who have a cart: who shares the machine may make it stand still for seconds, and they do not wait. */
const MOST_LEFT_BEHIND = 0.15
const RECOVERY_MS = 10_000
const LOOK_EVERY_MS = 200
/** Events and webhooks queue while requests come first: how long until none is left. */
const REST_MS = 60_000

let database: TestDatabase
let cluster: Cluster
let client: pg.Client
beforeAll(async () => {
  database = await testDatabase()
  client = new pg.Client({ connectionString: database.ownerUrl })
  await client.connect()
  cluster = await startCluster(database, { services: 1 })
  await cluster.stock({ mug: 1_000_000 })
}, 60_000)
afterAll(async () => {
  await cluster?.stop()
  await client?.end()
  await database?.drop()
})

test('P28: of three times as many as can be served as many buy as at the peak, and once it is over everybody does', {
  timeout: 200_000,
}, async () => {
  const [{ url }] = cluster.services
  const variantId = await variantOf(url, 'mug')
  const crowd = async (...how: ['buyers' | 'arrivals', number, number]): Promise<Tally> => {
    const { code, output } = await runToEnd([CROWD, url, variantId, ...how.map(String)], {})
    if (code !== 0) throw new Error(`The crowd ended with ${code}: ${output}`)
    return JSON.parse(output)
  }
  await crowd('buyers', BUYERS, WARM_SECONDS)
  const peak = await crowd('buyers', BUYERS, PEAK_SECONDS)
  const perSecond = peak.bought / PEAK_SECONDS
  const health = watchHealth(url)
  const overload = await crowd('arrivals', TIMES * perSecond, SECONDS)
  const over = performance.now() - overload.lingeredMs
  const unwell = await health.stop()
  const recoveryMs = async () => {
    for (;;) {
      const ms = performance.now() - over
      const { arrived, bought } = await crowd('buyers', 4, 1)
      if (bought === arrived || ms > RECOVERY_MS) return ms
    }
  }
  const backMs = Math.round(await recoveryMs())
  await comeToRest(
    async (text) => (await client.query(text)).rows,
    REST_MS,
    async () => 0,
  )
  const [now, before] = [(overload.bought / SECONDS).toFixed(1), perSecond.toFixed(1)]
  const leftBehind = overload.begun - overload.bought
  console.log(
    `${now} bought a second, at the peak ${before}; ${leftBehind} of ${overload.begun} carts left; back after ${backMs} ms`,
  )
  verdict({
    promise: 'P28',
    tried: `shoppers at ${TIMES} times what one process serves, for ${SECONDS} s`,
    n: overload.arrived,
    p99Ms: overload.p99Ms,
    violations: [
      ...whichHold({
        [`${now} bought each second, at the peak ${before}`]: Number(now) < LEAST_GOODPUT * perSecond,
        [`${leftBehind} of ${overload.begun} carts were left behind`]: leftBehind > MOST_LEFT_BEHIND * overload.begun,
        [`it took ${backMs} ms until everybody could buy again`]: backMs > RECOVERY_MS,
      }),
      ...[...peak.surprises, ...overload.surprises, ...unwell],
      ...(await audited(cluster)),
    ],
  })
})

/** Asks whether it may get traffic, as a load balancer does; resolves with every answer but yes, in words. */
function watchHealth(url: string) {
  let isOn = true
  const unwell: string[] = []
  const watching = (async () => {
    for (; isOn; await pause(LOOK_EVERY_MS)) {
      const { status, body } = await send(url, 'GET', '/health/ready')
      if (status !== 200) unwell.push(`readiness: ${status} ${body?.code}`)
    }
  })()
  return {
    stop: async () => {
      isOn = false
      await watching
      return unwell
    },
  }
}
