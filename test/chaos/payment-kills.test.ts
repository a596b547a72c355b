import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillCart, placeOrder, type Reply, send, variantOf, waitForOrder } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import { testDatabase } from '../kit/database.ts'
import { payByStripe, type StripeCluster, startStripeCluster } from '../kit/stripe-cluster.ts'
import { verdict, whichHold } from '../kit/verdict.ts'
import { audited } from '../kit/witnesses.ts'

/** P4: the service is killed at each named place of an order and its money, and the request repeated: one effect, the books right. */
const PAST_ITS_LEASE_MINUTES = 1
const folder = mkdtempSync(join(tmpdir(), 'stoa-kills-'))
const failpoints = join(folder, 'failpoints')
let cluster: StripeCluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  killAt()
  const env = { PAYMENT_TIMEOUT_MS: '2000', DRAIN_MS: '0', FAILPOINTS_FILE: failpoints }
  cluster = await startStripeCluster(database, { services: 1, env })
  await cluster.asOwner()
  await cluster.stock({ mug: 1_000 })
}, 90_000)
afterAll(async () => {
  await cluster?.stop()
  await database?.drop()
  rmSync(folder, { recursive: true })
})

/** From now on the service dies when it comes to this place, or at none. */
const killAt = (place?: string) => writeFileSync(failpoints, place ? `${place}=kill` : '')

const nobodyDied = () => readFileSync(failpoints, 'utf8') !== ''

async function revive(): Promise<void> {
  await service().end('SIGKILL')
  killAt()
  await service().start()
}

const service = () => cluster.services[0]
const url = () => service().url

/** Repeats a request with its key, as a client does: to the service started again when it is gone, and later when it is not. */
async function untilAnswered(request: () => Promise<Reply>): Promise<Reply> {
  for (let tries = 0; ; tries += 1) {
    const reply = await request()
    if (reply.status === 201 || tries > 20) return reply
    // What was left half done is leased to the process that died.
    if (reply.status !== 0) await cluster.advance(PAST_ITS_LEASE_MINUTES)
    else await revive()
  }
}

async function anOrder(): Promise<Reply['body']> {
  const cart = (await fillCart(url(), [{ variantId: await variantOf(url(), 'mug'), quantity: 1 }])) as never
  const { status, body } = await placeOrder(url(), cart)
  expect(status).toBe(201)
  return body
}

/** What the double says of a payment's objects: captured and refunded of each. */
async function atStripe(order: Reply['body']): Promise<[number, number][]> {
  const { intents } = await cluster.stripe.command('ledger')
  return Object.values(intents)
    .filter(({ metadata }) => metadata.paymentId === order.payment.id)
    .map(({ captured, refunded }) => [captured, refunded])
}

/** Notes how one key was kept: what Stripe has is what was to move, and the books are right. */
async function judge(tried: string, order: Reply['body'], wanted: [number, number]): Promise<void> {
  if (service().isGone()) await revive()
  await cluster.advance(PAST_ITS_LEASE_MINUTES)
  await cluster.comeToRest(60_000)
  const there = JSON.stringify(await atStripe(order))
  const violations = [
    ...whichHold({
      'nobody died': nobodyDied(),
      [`Stripe has ${there}, not ${JSON.stringify([wanted])}`]: there !== JSON.stringify([wanted]),
    }),
    ...(await audited(cluster)),
    ...(await cluster.ledgersDiffer()),
  ]
  verdict({ promise: 'P4', tried, n: 1, violations })
}

async function becomes(order: Reply['body'], state: string): Promise<void> {
  let seen = ''
  for (let tries = 0; seen !== state && tries < 10; tries += 1) {
    if (service().isGone()) await revive()
    seen = await waitForOrder(url(), order, [state], 2_000)
  }
  expect(seen).toBe(state)
}

test.each(['command.committed', 'command.before-commit'].slice(0, sized(1, 2)))(
  'ordering, killed at %s',
  async (place) => {
    const cart = (await fillCart(url(), [{ variantId: await variantOf(url(), 'mug'), quantity: 1 }])) as never
    killAt(place)
    const key = randomUUID()
    const placed = await untilAnswered(() => placeOrder(url(), cart, key))
    const again = await placeOrder(url(), cart, key)
    const otherKey = await placeOrder(url(), cart, randomUUID())
    const violations = whichHold({
      'nobody died': nobodyDied(),
      [`answered ${placed.status}, then ${again.status}`]: placed.status !== 201 || again.status !== 201,
      'the key has another answer later': JSON.stringify(placed.body) !== JSON.stringify(again.body),
      [`another key for the cart is ${otherKey.status}`]: otherKey.body?.order?.id !== placed.body?.id,
    })
    violations.push(...(await audited(cluster)))
    verdict({ promise: 'P4', tried: `an order with its key, killed at ${place}`, n: 1, violations })
  },
  150_000,
)

test.each(['payment.before-call', 'payment.after-call', 'payment.recorded'])(
  'paying, killed at %s',
  async (place) => {
    const order = await anOrder()
    killAt(place)
    const key = randomUUID()
    const attempt = await untilAnswered(() => payByStripe(url(), order, 'pm_card_visa', key))
    // Killed before the call, Stripe has never heard of it: the attempt's own answer says so, and another one pays.
    const paid = attempt.body.decline?.retryable ? await payByStripe(url(), order) : attempt
    expect(paid.body).toMatchObject({ status: 'succeeded' })
    await becomes(order, 'paid')
    await judge(`a payment with its key, killed at ${place}`, order, [order.total.amountMinor, 0])
  },
  150_000,
)

test.each(['refund.before-call', 'refund.after-call'])(
  'giving back, killed at %s',
  async (place) => {
    const order = await anOrder()
    expect((await payByStripe(url(), order)).body.status).toBe('succeeded')
    await becomes(order, 'paid')
    const owner = await cluster.asOwner()
    killAt(place)
    const key = randomUUID()
    const refund = { amount: { amountMinor: 300, currency: 'USD' }, reason: 'Scratched' }
    const path = `/v1/payments/${order.payment.id}/refunds`
    const given = await untilAnswered(() => send(url(), 'POST', path, refund, { ...owner, 'idempotency-key': key }))
    expect(given.body).toMatchObject({ amount: { amountMinor: 300 } })
    await judge(`a refund with its key, killed at ${place}`, order, [order.total.amountMinor, 300])
  },
  150_000,
)

test.each(['capture.before-call', 'capture.after-call'])(
  'capturing, killed at %s',
  async (place) => {
    await service().end('SIGTERM')
    await service().start({ PAYMENT_CAPTURE: 'manual' })
    const order = await anOrder()
    expect((await payByStripe(url(), order)).body.status).toBe('succeeded')
    const owner = await cluster.asOwner()
    killAt(place)
    const key = randomUUID()
    const part = { amount: { amountMinor: 900, currency: 'USD' } }
    const path = `/v1/payments/${order.payment.id}/capture`
    const taken = await untilAnswered(() => send(url(), 'POST', path, part, { ...owner, 'idempotency-key': key }))
    expect(taken.body).toMatchObject({ amount: { amountMinor: 900 } })
    await becomes(order, 'paid')
    await judge(`a capture with its key, killed at ${place}`, order, [900, 0])
  },
  150_000,
)
