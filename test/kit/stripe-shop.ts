import { randomUUID } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import Stripe from 'stripe'
import type { VariantId } from '#kernel/ids.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { buildApp } from '../../src/app.ts'
import { auditShop } from '../../src/cli/audit.ts'
import type { Config } from '../../src/config.ts'
import { ADDRESS } from './buyer.ts'
import { type Sent, type TestShop, testShop } from './shop.ts'
import type { StripeEvent } from './stripe/books.ts'
import { type StripeDouble, type StripeOptions, startStripe } from './stripe/server.ts'
import { signature } from './stripe/webhooks.ts'

export const WEBHOOK_SECRET = 'whsec_of_the_tests'

export type StripeShop = Awaited<ReturnType<typeof stripeShop>>
export type Bought = {
  readonly id: string
  readonly token: string
  readonly paymentId: string
  readonly totalMinor: number
  readonly headers: Record<string, string>
}
export type Webhook = { readonly headers: Record<string, string>; readonly body: Buffer }

/**
 * A shop that takes money by Stripe: its real SDK talks to the double, one clock moves both, and no webhook travels unless
 * the test hands it over.
 */
export async function stripeShop(env: Record<string, string> = {}, options: StripeOptions = {}) {
  const stripe: StripeDouble = await startStripe({ latencyMs: 1, ...options })
  const shop: TestShop = await testShop({
    PAYMENT_PROVIDERS: 'stripe',
    STRIPE_URL: stripe.url,
    STRIPE_SECRET_KEY: stripe.apiKey,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    PAYMENT_TIMEOUT_MS: '5000',
    DATABASE_CONNECTIONS: '20',
    ...env,
  })
  const { clock, app } = shop
  const sdk = new Stripe(stripe.apiKey, { host: '127.0.0.1', port: stripe.port, protocol: 'http', telemetry: false })
  /** Repeats with the same key, as the advice is, while somebody else is changing the same: this machine may be slow. */
  const send: TestShop['send'] = async (method, url, body, headers = {}) => {
    const keyed = method === 'GET' ? headers : { 'idempotency-key': randomUUID(), ...headers }
    const sent = await shop.send(method, url, body, keyed)
    return sent.body?.code === 'platform.busy' ? send(method, url, body, keyed) : sent
  }
  let session = { at: Number.NEGATIVE_INFINITY, headers: { authorization: '' } }

  /** The owner's headers, logged in again when the access token has grown old by the shop's clock. */
  const asOwner = async () => {
    const now = clock.now.getTime()
    if (now - session.at > 5 * 60_000) session = { at: now, headers: await shop.asOwner() }
    return session.headers
  }
  const pay = ({ paymentId, headers }: Bought, token = 'pm_card_visa', more: Record<string, string> = {}) =>
    send('POST', `/v1/payments/${paymentId}/attempts`, { method: 'stripe', token }, { ...headers, ...more })
  const amountOf = (amountMinor: number) => ({ amountMinor, currency: 'USD' })

  return {
    ...{ shop, stripe, sdk, send, asOwner, pay },
    settle: app.settle,
    /** Lets time pass, for the shop and for Stripe. */
    advance(minutes: number): void {
      clock.advance(minutes)
      stripe.advance(minutes * 60_000)
    },
    query: async <Row>(text: RawBuilder<Row>): Promise<Row[]> => (await text.execute(app.database.db)).rows,
    /** An order of one unit that is to be paid. */
    async anOrder(variantId: VariantId): Promise<Bought> {
      const items = [{ variantId, quantity: 1 }]
      const ready = { items, email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
      const cart = await made(send('POST', '/v1/carts', ready))
      const { id, token, payment, total } = await made(
        send('POST', '/v1/orders', { cartId: cart.id }, { 'x-cart-token': cart.token }),
      )
      return { id, token, paymentId: payment.id, totalMinor: total.amountMinor, headers: { 'x-order-token': token } }
    },
    readPayment: async ({ paymentId, headers }: Bought) =>
      (await send('GET', `/v1/payments/${paymentId}`, undefined, headers)).body,
    readOrder: async ({ id, headers }: Bought) => (await send('GET', `/v1/orders/${id}`, undefined, headers)).body,
    cancel: ({ id, headers }: Bought) => send('POST', `/v1/orders/${id}/cancellation`, {}, headers),
    refund: async ({ paymentId }: Bought, amountMinor: number) =>
      send(
        'POST',
        `/v1/payments/${paymentId}/refunds`,
        { amount: amountOf(amountMinor), reason: 'Came too late' },
        await asOwner(),
      ),
    capture: async ({ paymentId }: Bought, amountMinor?: number) =>
      send(
        'POST',
        `/v1/payments/${paymentId}/capture`,
        amountMinor === undefined ? {} : { amount: amountOf(amountMinor) },
        await asOwner(),
      ),
    /** Makes a payment at Stripe of which the shop hears nothing, as when every answer to it is lost: the intent's id. */
    async payUnheard(
      { paymentId, id: orderId, totalMinor }: Bought,
      card = 'pm_card_visa',
      more: Partial<Stripe.PaymentIntentCreateParams> = {},
    ): Promise<string> {
      const wanted = {
        ...{ amount: totalMinor, currency: 'usd', confirm: true, payment_method: card },
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        metadata: { paymentId, orderId, objectKey: paymentId },
        ...more,
      } as const
      return idOf(sdk.paymentIntents.create(wanted))
    },
    /** The buyer's device tries another card on the same intent, and the shop hears nothing of it. */
    confirmUnheard: (intent: string, card = 'pm_card_visa') =>
      idOf(sdk.paymentIntents.confirm(intent, { payment_method: card })),
    /** What Stripe has to tell of each payment, from the oldest on. */
    eventsByPayment(): ReadonlyMap<string, readonly StripeEvent[]> {
      const payments = new Map<string, string>()
      const byPayment = new Map<string, StripeEvent[]>()
      for (const event of stripe.events()) {
        const { object } = event.data
        if (object.object === 'payment_intent') payments.set(object.id, object.metadata.paymentId)
        const payment = payments.get(object.object === 'payment_intent' ? object.id : object.payment_intent) ?? ''
        byPayment.set(payment, [...(byPayment.get(payment) ?? []), event])
      }
      return byPayment
    },
    /** An event as it travels, signed by these secrets at this moment of the shop's clock. */
    webhookOf: ({ id }: StripeEvent, secrets: readonly string[] = [WEBHOOK_SECRET], at = clock.now): Webhook =>
      signed(stripe.webhookOf(id).body, secrets, at),
    signed,
    /** Hands webhooks over, all at once: the answers' statuses. */
    hand: (...webhooks: readonly Webhook[]): Promise<number[]> =>
      Promise.all(
        webhooks.map(async ({ headers, body: payload }) => {
          const url = '/v1/payments/webhook/stripe'
          return (await app.http.inject({ method: 'POST', url, headers, payload })).statusCode
        }),
      ),
    close: async () => {
      await shop.close()
      await stripe.close()
    },
  }
}

/** A body of whatever origin, signed as Stripe signs. */
function signed(body: Buffer, secrets: readonly string[], at: Date): Webhook {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'stripe-signature': signature(secrets, body.toString(), at),
  }
  return { headers, body }
}

async function made(answer: Promise<Sent>): Promise<Sent['body']> {
  const { status, body, text } = await answer
  if (status !== 201) throw new Error(text)
  return body
}

/** The intent's id, also when its card was declined. */
const idOf = (call: Promise<{ id: string }>): Promise<string> =>
  call.then(
    ({ id }) => id,
    (error: { payment_intent?: { id: string } }) => {
      if (!error.payment_intent) throw error
      return error.payment_intent.id
    },
  )

export type Two = Awaited<ReturnType<typeof twoInstances>>

/** The same shop as two processes run it: a second instance on its database, both listening. `change` is for the second. */
export async function twoInstances(
  { shop }: Pick<StripeShop, 'shop'>,
  change: (config: Config) => Config = (config) => config,
) {
  const { app, clock, databaseUrl } = shop
  const log = makeLog({ level: app.config.logLevel, sync: true })
  const twin = await buildApp(change(app.config), { databaseUrl, clock: () => clock.now, log })
  const listening = [app, twin].map((one) => one.http.listen({ port: 0, host: '127.0.0.1' }))
  return { urls: await Promise.all(listening), settle: twin.settle, close: twin.close }
}

type Sums = { captured: number; refunded: number; disputed: number; lost: number }

/**
 * What is wrong with a shop at rest: each broken oracle, each webhook that is not done, and each difference between its
 * ledger and the double's own.
 */
export async function violationsOf(at: StripeShop): Promise<string[]> {
  const findings = await auditShop(at.shop.app, true, at.shop.clock.now)
  const broken = findings.flatMap(({ id, violations }) =>
    violations.map(({ subject, detail }) => `${id} ${subject}: ${detail}`),
  )
  const undone = await at.query(sql<{ text: string }>`
    select format('webhook %s %s: %s', type, event_id, last_error) as text from payments.inbox where done_at is null`)
  return [...broken, ...undone.map(({ text }) => text), ...(await ledgerDifferences(at))]
}

/** Where our ledger and the double's own differ, per payment and in total; none when they are equal. */
async function ledgerDifferences({ stripe, query }: StripeShop): Promise<string[]> {
  const { intents, totals } = stripe.ledger()
  const theirs = new Map<string, Sums>()
  for (const { metadata, currency, captured, refunded, disputed, lost } of Object.values(intents))
    add(theirs, `${metadata.paymentId} ${currency.toUpperCase()}`, { captured, refunded, disputed, lost })
  for (const [currency, { captured, refunded, disputed, lost }] of Object.entries(totals))
    add(theirs, `total ${currency.toUpperCase()}`, { captured, refunded, disputed, lost })
  const rows = await query(sql<Sums & { payment_id: string; currency: string }>`
    select payment_id, currency, sum(case kind when 'capture' then amount_minor else 0 end)::int as captured,
      sum(case kind when 'refund' then amount_minor when 'refund-failed' then -amount_minor else 0 end)::int as refunded,
      sum(case kind when 'dispute' then amount_minor when 'dispute-won' then -amount_minor
        when 'dispute-lost' then -amount_minor else 0 end)::int as disputed,
      sum(case kind when 'dispute-lost' then amount_minor else 0 end)::int as lost
    from payments.ledger group by payment_id, currency`)
  const ours = new Map<string, Sums>()
  for (const { payment_id, currency, ...sums } of rows) {
    add(ours, `${payment_id} ${currency}`, sums)
    add(ours, `total ${currency}`, sums)
  }
  return [...new Set([...theirs.keys(), ...ours.keys()])]
    .map((key) => ({ key, here: shown(ours.get(key)), there: shown(theirs.get(key)) }))
    .flatMap(({ key, here, there }) => (here === there ? [] : [`${key}: here ${here}, there ${there}`]))
}

const NOTHING: Sums = { captured: 0, refunded: 0, disputed: 0, lost: 0 }
const shown = ({ captured, refunded, disputed, lost } = NOTHING) =>
  `+${captured} −${refunded}, disputed ${disputed}, lost ${lost}`

function add(sums: Map<string, Sums>, key: string, more: Sums): void {
  const { captured, refunded, disputed, lost } = sums.get(key) ?? NOTHING
  sums.set(key, {
    captured: captured + more.captured,
    refunded: refunded + more.refunded,
    disputed: disputed + more.disputed,
    lost: lost + more.lost,
  })
}
