import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { approve, CARDS, dispute, ROUGH, refuseWhatWaits } from '../kit/banks.ts'
import { fillCart, placeOrder, type Reply, send, variantOf } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { payByStripe, type StripeCluster, startStripeCluster } from '../kit/stripe-cluster.ts'

/**
 * Buyers, staff, banks and a failing Stripe at once over two processes that are killed now and then, by a seed: whatever
 * came of it, the ledger of Stripe's double and ours are equal, and every oracle holds. MIXED_SECONDS and MIXED_SEED
 * make it longer, and another one: `MIXED_SECONDS=600 vitest run test/chaos/mixed-payments.test.ts`.
 */
const SECONDS = Number(process.env.MIXED_SECONDS ?? 20)
const SEED = Number(process.env.MIXED_SEED ?? 1)
const BUYERS = 6

let cluster: StripeCluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  const env = { PAYMENT_TIMEOUT_MS: '1500', DRAIN_MS: '0', HOLD_MINUTES: '1' }
  cluster = await startStripeCluster(database, { services: 2, env })
  await cluster.stock({ mug: 100_000, vase: 60 })
}, 120_000)
afterAll(async () => {
  await cluster?.stop()
  await database?.drop()
})

const random = seeded(SEED)
const oneOf = <One>(all: readonly One[]): One => all[Math.floor(random() * all.length)] as One

type Order = Reply['body']
type Tally = { placed: number; paid: number; refunds: number; kills: number; disputes: number; surprises: string[] }
type Run = { readonly until: number; readonly tally: Tally; readonly orders: Order[]; owner: { authorization: string } }

const anyUrl = () => oneOf(cluster.services).url

/** Repeats a request with its key, to whichever process answers, as long as nobody does. */
async function insist(run: Run, request: (url: string) => Promise<Reply>): Promise<Reply> {
  for (let tries = 0; ; tries += 1) {
    const reply = await request(anyUrl())
    if (reply.status >= 500 && reply.status !== 503) run.tally.surprises.push(`${reply.status} ${reply.body?.code}`)
    const again = reply.status === 0 || reply.status >= 500 || reply.body?.code === 'platform.in-progress'
    if (!again || tries === 40) return reply
    await pause(250)
  }
}

/** A buyer: orders, pays by one card after the other until it works, sometimes gives up or cancels. */
async function buy(run: Run, variants: readonly string[]): Promise<void> {
  const cart = (await fillCart(anyUrl(), [{ variantId: oneOf(variants), quantity: 1 }])) as {
    id: string
    token: string
  }
  if (!cart.token) return
  const key = randomUUID()
  const { status, body: order } = await insist(run, (url) => placeOrder(url, cart, key))
  if (status !== 201) return
  run.tally.placed += 1
  run.orders.push(order)
  for (let tries = 0; tries < 4; tries += 1) {
    const [token, attemptKey] = [oneOf(CARDS), randomUUID()]
    const { body } = await insist(run, (url) => payByStripe(url, order, token, attemptKey))
    if (body?.status === 'succeeded') run.tally.paid += 1
    if (body?.status === 'requiresAction') await approve(cluster, order.payment.id, random)
    if (body?.status !== 'declined') return
  }
  if (random() < 0.5)
    await insist(run, (url) => send(url, 'POST', `/v1/orders/${order.id}/cancellation`, {}, proof(order)))
}

const proof = (order: Order) => ({ 'x-order-token': order.token, 'idempotency-key': randomUUID() })

/** Staff: refunds and cancellations of orders that are paid, or are not. */
async function serve(run: Run): Promise<void> {
  await pause(300)
  const order = oneOf(run.orders)
  if (!order) return
  const headers = { ...run.owner, 'idempotency-key': randomUUID() }
  const [path, body] =
    random() < 0.3
      ? [`/v1/orders/${order.id}/cancellation`, { reason: 'Out of order' }]
      : [
          `/v1/payments/${order.payment.id}/refunds`,
          { amount: { amountMinor: 1 + Math.floor(random() * 700), currency: 'USD' }, reason: 'Scratched' },
        ]
  const { status } = await insist(run, (url) => send(url, 'POST', path, body, headers))
  if (status === 201) run.tally.refunds += 1
}

/** One of the processes dies, and comes again. */
async function kill(run: Run): Promise<void> {
  await pause(4_000 + random() * 6_000)
  const victim = oneOf(cluster.services)
  await victim.end('SIGKILL')
  run.tally.kills += 1
  await victim.start()
}

const during = async (run: Run, step: () => Promise<void>): Promise<void> => {
  while (Date.now() < run.until) await step()
}

test(
  `${SECONDS} s with faults, seed ${SEED}`,
  async () => {
    const variants = await Promise.all(
      ['mug', 'mug', 'mug', 'vase'].map((handle) => variantOf(cluster.services[0].url, handle)),
    )
    const tally: Tally = { placed: 0, paid: 0, refunds: 0, kills: 0, disputes: 0, surprises: [] }
    const run: Run = { until: Date.now() + SECONDS * 1_000, tally, orders: [], owner: await cluster.asOwner() }
    await cluster.stripe.command('faults', ...ROUGH)
    await cluster.stripe.command('webhooks', { jitterMs: 3_000, duplicateRate: 0.2, dropRate: 0.1 })
    await Promise.all(
      [
        ...Array.from({ length: BUYERS }, () => during(run, () => buy(run, variants))),
        during(run, () => serve(run)),
        during(run, async () => {
          if (await dispute(cluster, random)) tally.disputes += 1
        }),
        during(run, () => kill(run)),
        during(run, async () => {
          await pause(240_000)
          run.owner = await cluster.asOwner().catch(() => run.owner)
        }).catch(() => {}),
      ].slice(0, SECONDS > 300 ? undefined : -1),
    )
    await cluster.stripe.command('clearFaults')
    await cluster.stripe.command('webhooks', { jitterMs: 0, duplicateRate: 0, dropRate: 0 })
    await refuseWhatWaits(cluster)
    await cluster.comeToRest(120_000)
    const reconciled = await cluster.stoa('reconcile', '--json')
    expect({ code: reconciled.code, output: reconciled.code === 0 ? '' : reconciled.output }).toEqual({
      code: 0,
      output: '',
    })
    await cluster.comeToRest(60_000)
    expect(await cluster.ledgersDiffer()).toEqual([])
    const { code, output } = await cluster.stoa('audit', '--all', '--json')
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
    const { intents } = await cluster.stripe.command('ledger')
    const perPayment = Map.groupBy(
      Object.values(intents).filter(({ captured }) => captured > 0),
      ({ metadata }) => metadata.paymentId,
    )
    const twice = [...perPayment].filter(([, objects]) => objects.length > 1).map(([id]) => id)
    console.log(
      `mixed payments: ${JSON.stringify({ seed: SEED, seconds: SECONDS, ...tally, charged: perPayment.size, twice: twice.length })}`,
    )
    expect(twice).toEqual([])
    expect(tally.surprises).toEqual([])
    expect(tally.paid).toBeGreaterThan(SECONDS / 10)
  },
  (SECONDS + 300) * 1_000,
)
