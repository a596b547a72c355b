import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillCart, pay, placeOrder, variantOf, waitForOrder } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'

/** The service is killed at each named place of a purchase; the buyer repeats the request with its key. */
let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 1, env: { PAYMENT_TIMEOUT_MS: '2000', DRAIN_MS: '0' } })
  await cluster.stock({ mug: 1_000 })
}, 60_000)
afterAll(async () => {
  await cluster.stop()
  await database.drop()
})

const PLACES = [
  'stock.held',
  'order.inserted',
  'command.before-commit',
  'command.committed',
  'payment.before-call',
  'payment.after-call',
  'payment.recorded',
  'event.published',
]

test.each(PLACES)(
  'killed at %s and repeated: one order, one charge, paid, the books right',
  async (place) => {
    const [service] = cluster.services
    const { url } = service
    const variantId = await variantOf(url, 'mug')
    const cart = (await fillCart(url, [{ variantId, quantity: 1 }])) as { id: string; token: string }
    await service.end('SIGTERM')
    await service.start({ FAILPOINTS: `${place}=kill` })
    const [orderKey, payKey] = [randomUUID(), randomUUID()]
    const untilAnswered = async <T extends { status: number }>(request: () => Promise<T>): Promise<T> => {
      for (let tries = 0; ; tries += 1) {
        const reply = await request()
        if (reply.status === 201 || tries > 60) return reply
        await new Promise((resolve) => setTimeout(resolve, 500))
        if (reply.status === 0) await service.start()
      }
    }
    const placed = await untilAnswered(() => placeOrder(url, cart, orderKey))
    expect(placed.status).toBe(201)
    const attempt = await untilAnswered(() => pay(url, placed.body, 'tok_ok', payKey))
    // Killed before the call, the provider has never heard of it: the attempt's own answer says so, and another one pays.
    const paid = attempt.body.decline?.retryable ? await pay(url, placed.body) : attempt
    expect(paid.body.status).toBe('succeeded')
    // The relay works beside the requests: it may bring the process down after the last answer.
    let state = ''
    for (let tries = 0; state !== 'paid' && tries < 10; tries += 1) {
      if (service.isGone()) await service.start()
      state = await waitForOrder(url, placed.body, ['paid'], 2_000)
    }
    expect(state).toBe('paid')
    const audit = await cluster.stoa('audit', '--json')
    expect({ code: audit.code, output: audit.code === 0 ? '' : audit.output }).toEqual({ code: 0, output: '' })
  },
  90_000,
)
