import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { FULL, sized } from '../kit/chaos.ts'
import { anySchedule, runCopies } from '../kit/stripe-copies.ts'
import { different, type Model, type ModelShop, modelShops } from '../kit/stripe-models.ts'
import { type StripeShop, stripeShop, type Two, twoInstances, violationsOf, type Webhook } from '../kit/stripe-shop.ts'
import { p99Of, verdict, whichHold } from '../kit/verdict.ts'

vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 })

/** P5 over Stripe: webhooks that come twice, out of order, late or never. CHAOS=full for 500 shuffles. */
const SHUFFLES = sized(150, 500)
const SHUFFLED_BY = 7
/** The promise; a machine that runs other tests beside may take longer. */
const P99_MS = FULL ? 500 : 2_000

test(`${SHUFFLES} shuffles with duplicates, 10 % of the events dropped and outages: reconciled, every scenario ends in one state`, async () => {
  const shops = await modelShops()
  const began = shops.map(({ at }) => new Date(at.shop.clock.now.getTime() - 3_600_000))
  const random = seeded(SHUFFLED_BY)
  const all = shops.flatMap(({ models }) => models)
  let [sent, dropped, twice] = [0, 0, 0]
  const shuffled = ({ events, scenario }: Model) => {
    const told = events.flatMap((event) => {
      const times = random() < 0.1 ? 0 : random() < 0.3 ? 2 : 1
      sent += times
      if (times === 0) dropped += 1
      if (times === 2) twice += 1
      return Array.from({ length: times }, () => event)
    })
    return { scenario, schedule: anySchedule(told, scenario.steps.length, random) }
  }
  /** All is told until a step, and nothing of that one and what comes after it. */
  const outages = ({ events, scenario }: Model) =>
    scenario.steps.map((_, lost) => ({
      scenario,
      schedule: scenario.steps.flatMap((_, step) => [
        { step },
        ...events.filter((event) => event.step === step && step < lost),
      ]),
    }))
  const plans = [
    ...Array.from({ length: SHUFFLES }, (_, i) => shuffled(all[i % all.length] as Model)),
    ...all.flatMap(outages),
  ]
  const violations: string[] = []
  for (const [i, shop] of shops.entries()) {
    const { at, mug, models } = shop
    const own = plans.filter(({ scenario }) => models.some((model) => model.scenario === scenario))
    const copies = await runCopies(at, mug, own, () => random() < 0.5)
    await at.settle()
    const before = await different(shop, copies)
    const reconciled = await reconcile(at, began[i] as Date)
    at.advance(1)
    await at.settle()
    console.log(
      `P5: of ${own.length} shuffles and outages ${before.length} were behind, ${reconciled.healed.length} of ${reconciled.compared} objects healed`,
    )
    violations.push(
      ...reconciled.open.map(({ subject, detail }) => `${subject}: ${detail}`),
      ...(await different(shop, copies)),
      ...(await violationsOf(at)),
    )
    await at.close()
  }
  const tried = 'shuffles with duplicates, 10 % dropped, and outages, reconciled'
  verdict({ promise: 'P5', tried, n: plans.length, violations, seed: SHUFFLED_BY })
  console.log(`P5: ${sent} events sent, ${twice} of them twice, ${dropped} dropped`)
})

const reconcile = ({ shop }: ModelShop['at'], from: Date) =>
  shop.app.contexts.payments.reconcilePayments({ from, before: new Date(shop.clock.now.getTime() + 3_600_000) })

let at: StripeShop
let two: Two
beforeAll(async () => {
  at = await stripeShop()
  two = await twoInstances(at)
})
afterAll(async () => {
  await two.close()
  await at.close()
})

/** Hands a webhook to one of the two instances, over HTTP: its status, and how long that took. */
async function send({ headers, body }: Webhook, i: number): Promise<{ status: number; ms: number }> {
  const start = performance.now()
  const url = `${two.urls[i % 2]}/v1/payments/webhook/stripe`
  const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) })
  await response.arrayBuffer()
  return { status: response.status, ms: performance.now() - start }
}
const p99 = (answers: readonly { ms: number }[]): number => p99Of(answers.map(({ ms }) => ms))

test('the same event 20 times at once to two instances: one row, one effect; bursts are answered in time', async () => {
  const mug = await at.shop.aProduct('mug', { units: 1_000 })
  const orders = await Promise.all(Array.from({ length: 15 }, () => at.anOrder(mug)))
  await Promise.all(orders.map((order) => at.payUnheard(order)))
  const told = at.eventsByPayment()
  const events = orders.flatMap(({ paymentId }) => told.get(paymentId) ?? [])
  expect(events).toHaveLength(45)
  const answers: { status: number; ms: number }[] = []
  const settling = Promise.all([at.settle(), two.settle()])
  for (const event of events) {
    const webhook = at.webhookOf(event)
    answers.push(...(await Promise.all(Array.from({ length: 20 }, (_, i) => send(webhook, i)))))
  }
  await settling
  await Promise.all([at.settle(), two.settle()])
  const p99Ms = Math.round(p99(answers))
  const [rows] = await at.query(sql<{ n: number }>`select count(*)::int as n from payments.inbox`)
  const captured = await at.query(sql<{ n: number; ledger: number; told: number; paid: number }>`
    select (select count(*)::int from payments.captures where payment_id = p.id) as n,
      (select count(*)::int from payments.ledger where payment_id = p.id) as ledger,
      (select count(*)::int from platform.events where subject = p.id) as told,
      (select count(*)::int from platform.events where subject = p.order_id and type = 'orders.paid.v1') as paid
    from payments.payments p`)
  const violations = [
    ...whichHold({
      [`p99 ${p99Ms} ms`]: p99Ms > P99_MS,
      [`answered ${[...new Set(answers.map(({ status }) => status))]}`]: answers.some(({ status }) => status !== 204),
      [`${rows?.n} rows of ${events.length} events`]: rows?.n !== events.length,
      [`${captured.length} payments of ${orders.length} orders`]: captured.length !== orders.length,
    }),
    ...captured.filter((one) => Object.values(one).some((n) => n !== 1)).map((one) => JSON.stringify(one)),
    ...(await violationsOf(at)),
  ]
  verdict({
    promise: 'P5',
    tried: 'webhooks, each 20 times at once to two instances',
    n: answers.length,
    violations,
    p99Ms,
  })
})
