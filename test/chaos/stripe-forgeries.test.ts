import { sql } from 'kysely'
import type Stripe from 'stripe'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { VariantId } from '#kernel/ids.ts'
import type { StripeEvent } from '../kit/stripe/books.ts'
import {
  type Bought,
  type StripeShop,
  stripeShop,
  twoInstances,
  violationsOf,
  type Webhook,
} from '../kit/stripe-shop.ts'
import { verdict, whichHold } from '../kit/verdict.ts'

/** P6 over Stripe: only genuine events that fit move money. */
const [OLD, NEW] = ['whsec_old', 'whsec_new']
let at: StripeShop
let mug: VariantId
beforeAll(async () => {
  at = await stripeShop({ STRIPE_WEBHOOK_SECRET: `${NEW},${OLD}` })
  mug = await at.shop.aProduct('mug', { units: 100 })
})
afterAll(() => at.close())

/** Everything that could have moved. */
const books = () =>
  at.query(sql<object>`
    select (select count(*) from payments.inbox) as inbox, (select count(*) from payments.ledger) as ledger,
      (select count(*) from payments.captures) as captures, (select count(*) from payments.refunds) as refunds,
      (select count(*) from orders.orders where status <> 'pending') as orders`)
const eventsOf = ({ paymentId }: Bought): readonly StripeEvent[] => at.eventsByPayment().get(paymentId) ?? []
const told = (order: Bought, type = 'payment_intent.succeeded') =>
  eventsOf(order).find((event) => event.type === type) as StripeEvent
const later = (seconds: number) => new Date(at.shop.clock.now.getTime() + seconds * 1_000)
const withBody = (webhook: Webhook, body: string): Webhook => ({ ...webhook, body: Buffer.from(body) })
const signedWith = (webhook: Webhook, header: string): Webhook => ({
  ...webhook,
  headers: { ...webhook.headers, 'stripe-signature': header },
})

let unheard: Bought
/** The payments that are in review. */
const held: string[] = []
const FORGERIES: readonly (readonly [string, (genuine: Webhook) => Webhook])[] = [
  ['no signature', ({ body }) => ({ headers: { 'content-type': 'application/json' }, body })],
  ['an empty signature', (genuine) => signedWith(genuine, '')],
  ['a signature without time', (genuine) => signedWith(genuine, `v1=${'0'.repeat(64)}`)],
  ['a signature of no hash', (genuine) => signedWith(genuine, `t=${Math.floor(later(0).getTime() / 1_000)},v1=`)],
  ['a wrong secret', ({ body }) => at.signed(body, ['whsec_wrong'], later(0))],
  ['an old signature', ({ body }) => at.signed(body, [NEW], later(-301))],
  ['a signature from the future', ({ body }) => at.signed(body, [NEW], later(120))],
  [
    'a fresh time on an old signature',
    ({ body }) => {
      const old = at.signed(body, [NEW], later(-301))
      const v1 = old.headers['stripe-signature']?.split(',')[1]
      return signedWith(old, `t=${Math.floor(later(0).getTime() / 1_000)},${v1}`)
    },
  ],
  ['its body serialised anew', (genuine) => withBody(genuine, JSON.stringify(JSON.parse(genuine.body.toString())))],
  ['one byte more', (genuine) => withBody(genuine, `${genuine.body} `)],
  ['another amount in it', (genuine) => withBody(genuine, genuine.body.toString().replaceAll('1500', '1'))],
  [
    'an event of live mode',
    ({ body }) => {
      const live = body.toString().replaceAll('"livemode": false', '"livemode": true')
      return at.signed(Buffer.from(live), [NEW], later(0))
    },
  ],
]

test('forged, old and altered ones: 400, nothing stored, nothing moved', async () => {
  unheard = await at.anOrder(mug)
  await at.payUnheard(unheard)
  const before = JSON.stringify(await books())
  const violations: string[] = []
  for (const [what, forge] of FORGERIES) {
    const [status] = await at.hand(forge(at.webhookOf(told(unheard), [NEW])))
    await at.settle()
    const moved = JSON.stringify(await books()) !== before || (await at.readPayment(unheard)).status !== 'open'
    violations.push(
      ...whichHold({ [`${what}: answered ${status}`]: status !== 400, [`${what}: something moved`]: moved }),
    )
  }
  verdict({ promise: 'P6', tried: 'webhooks forged, old or altered', n: FORGERIES.length, violations })
})

test('the genuine one, as it came, pays', async () => {
  expect(await at.hand(at.webhookOf(told(unheard), [NEW]))).toEqual([204])
  await at.settle()
  expect((await at.readPayment(unheard)).status).toBe('captured')
})

/** By which secrets a webhook is signed, and its answers while the old secret is still known and when it no longer is. */
const SIGNED_BY = [
  [[OLD], 204, 400],
  [[NEW], 204, 204],
  [[OLD, NEW], 204, 204],
  [['whsec_never'], 400, 400],
] as const

test('while a secret is rotated both are accepted, each alone and both together; a removed one is not', async () => {
  const after = await twoInstances(at, (config) => ({
    ...config,
    stripe: config.stripe && { ...config.stripe, webhookSecrets: [NEW] },
  }))
  const handAfter = async ({ headers, body }: Webhook) => {
    const url = `${after.urls[1]}/v1/payments/webhook/stripe`
    return (await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) })).status
  }
  const violations: string[] = []
  for (const [secrets, before, afterwards] of SIGNED_BY) {
    const webhook = at.webhookOf(told(unheard), secrets)
    const [[during], later] = [await at.hand(webhook), await handAfter(webhook)]
    violations.push(
      ...whichHold({
        [`by ${secrets} while both are known: ${during}`]: during !== before,
        [`by ${secrets} afterwards: ${later}`]: later !== afterwards,
      }),
    )
  }
  await after.close()
  verdict({ promise: 'P6', tried: 'webhooks while the secret is rotated', n: 2 * SIGNED_BY.length, violations })
})

const UNFITTING: readonly (readonly [string, Partial<Stripe.PaymentIntentCreateParams>])[] = [
  ['a hundredth of the amount', { amount: 100 }],
  ['more than is owed', { amount: 1_501 }],
  ['another currency', { currency: 'eur' }],
]

test.each(UNFITTING)('a genuine event about %s: held for review, the ledger as before', async (what, more) => {
  const order = await at.anOrder(mug)
  held.push(order.paymentId)
  const ledger = () => at.query(sql<object>`select id from payments.ledger`)
  const before = await ledger()
  await at.payUnheard(order, 'pm_card_visa', more)
  const events = eventsOf(order)
  expect(new Set(await at.hand(...events.map((event) => at.webhookOf(event, [NEW]))))).toEqual(new Set([204]))
  await at.settle()
  const [payment, { status, paymentStatus }] = [await at.readPayment(order), await at.readOrder(order)]
  const violations = whichHold({
    [`the payment is ${payment.status} with ${payment.captured.amountMinor}`]:
      payment.status !== 'review' || payment.captured.amountMinor !== 0,
    [`the order is ${status}, its payment ${paymentStatus}`]: status !== 'pending' || paymentStatus !== 'review',
    'the ledger has moved': JSON.stringify(await ledger()) !== JSON.stringify(before),
  })
  verdict({ promise: 'P6', tried: `genuine events about ${what}`, n: events.length, violations })
  expect((await at.shop.send('GET', '/metrics')).text).toMatch(/^stoa_payments\w*review\w* [1-9]/m)
})

test('a genuine event whose metadata names another payment pays that one once at most, and never the one it is not about', async () => {
  const [cheap, dear] = [await at.anOrder(mug), await at.anOrder(mug)]
  expect((await at.pay(cheap)).body.status).toBe('succeeded')
  const own = told(cheap).data.object.id
  await at.sdk.paymentIntents.update(own, { metadata: { paymentId: dear.paymentId, orderId: dear.id } })
  const events = eventsOf(cheap)
  await at.hand(...events.map((event) => at.webhookOf(event, [NEW])))
  await at.settle()
  const [paid, named] = [await at.readPayment(cheap), await at.readPayment(dear)]
  const violations = whichHold({
    [`its own payment has ${paid.captured.amountMinor}`]: paid.captured.amountMinor !== cheap.totalMinor,
    [`the payment it names is ${named.status}`]: named.status !== 'open' || named.captured.amountMinor !== 0,
    'the order it names is paid': (await at.readOrder(dear)).status !== 'pending',
  })
  verdict({ promise: 'P6', tried: 'genuine events that name another order', n: events.length, violations })
  await at.sdk.paymentIntents.update(own, { metadata: { paymentId: cheap.paymentId, orderId: cheap.id } })
})

test('genuine events of another system in the same account are acknowledged and change nothing', async () => {
  const stranger = await at.sdk.paymentIntents.create({
    ...{ amount: 900, currency: 'usd', confirm: true, payment_method: 'pm_card_visa' },
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  })
  await at.sdk.refunds.create({ payment_intent: stranger.id, amount: 900 })
  const its = at.stripe
    .events()
    .filter(({ data: { object } }) => object.id === stranger.id || object.payment_intent === stranger.id)
  const moved = () => at.query(sql<object>`select id from payments.ledger`)
  const before = await moved()
  expect(its.length).toBeGreaterThanOrEqual(5)
  expect(new Set(await at.hand(...its.map((event) => at.webhookOf(event, [NEW]))))).toEqual(new Set([204]))
  await at.settle()
  expect(await moved()).toEqual(before)
  const waiting = await at.query(
    sql<{ type: string }>`select type, last_error from payments.inbox where done_at is null`,
  )
  expect(waiting).toEqual([])
})

test('beside what waits for a person and what is not ours, both ledgers are equal and every oracle holds', async () => {
  expect(held).toHaveLength(UNFITTING.length)
  const known = [...held, 'undefined USD', 'total ']
  const unknown = (await violationsOf(at)).filter((violation) => !known.some((name) => violation.includes(name)))
  expect(unknown).toEqual([])
})
