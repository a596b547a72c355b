import type { OrderId, PaymentId } from '#kernel/ids.ts'
import { systemActor } from '#platform/db/system.ts'
import { newId } from '#platform/ids.ts'
import { makeGuestTokens } from '#platform/security/guest-tokens.ts'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { type StripeDouble, startStripe } from '../../kit/stripe/server.ts'

export type Opened = { readonly id: PaymentId; readonly orderId: OrderId; readonly token: string }
export type StripeShop = {
  readonly shop: TestShop
  readonly stripe: StripeDouble
  /** An order's open payment, and the order's token. */
  openPayment(amountMinor?: number, currency?: string): Promise<Opened>
  attempt(payment: Opened, token: string, more?: { key?: string; returnUrl?: string }): Promise<Sent>
  read(payment: Opened): Promise<Sent['body']>
  /** Hands the shop the events of a payment that fit, in this order; nothing arrives by itself. */
  tell(payment: Opened, ...types: readonly string[]): Promise<number[]>
  /** What Stripe says moved for a payment, and in how many objects. */
  witness(payment: Opened): { objects: number; captured: number; refunded: number }
  close(): Promise<void>
}

/** A shop that takes money by Stripe, which is the double: the SDK really talks to it. */
export async function stripeShop(env: Record<string, string> = {}): Promise<StripeShop> {
  const secret = 'whsec_of_the_test'
  const stripe = await startStripe({ secrets: [secret], refundMs: 60_000, processingMs: 60_000, searchLagMs: 60_000 })
  const shop = await testShop({
    PAYMENT_PROVIDERS: 'stripe',
    STRIPE_SECRET_KEY: stripe.apiKey,
    STRIPE_PUBLISHABLE_KEY: 'pk_test_of_the_test',
    STRIPE_WEBHOOK_SECRET: `whsec_of_tomorrow,${secret}`,
    STRIPE_URL: stripe.url,
    PAYMENT_TIMEOUT_MS: '1000',
    ...env,
  })
  const guestTokens = makeGuestTokens(shop.app.config.tokenSecrets)
  const proofOf = ({ token }: Opened) => ({ 'x-order-token': token })
  const intentsOf = ({ id }: Opened) =>
    new Set(
      stripe
        .events()
        .map(({ data: { object } }) => object)
        .filter((object) => object.object === 'payment_intent' && object.metadata.paymentId === id)
        .map((object) => object.id as string),
    )

  return {
    shop,
    stripe,
    openPayment: async (amountMinor = 1999, currency = 'USD') => {
      const orderId = newId('ord')
      const { id } = await shop.app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
        shop.app.contexts.payments.openPayment(work, {
          orderId,
          orderNumber: '1001',
          amount: { amountMinor, currency },
          payableUntil: new Date(work.now.getTime() + 15 * 60_000),
          buyerUserId: null,
          tokenVersion: 1,
        }),
      )
      return { id, orderId, token: guestTokens.guestToken(orderId, 1) }
    },
    attempt: (payment, token, { key, returnUrl = 'https://shop.example/return' } = {}) =>
      shop.send(
        'POST',
        `/v1/payments/${payment.id}/attempts`,
        { method: 'stripe', token, ...(returnUrl ? { returnUrl } : {}) },
        { ...proofOf(payment), ...(key ? { 'idempotency-key': key } : {}) },
      ),
    read: async (payment) => (await shop.send('GET', `/v1/payments/${payment.id}`, undefined, proofOf(payment))).body,
    tell: async (payment, ...types) => {
      const intents = intentsOf(payment)
      const about = ({ id, payment_intent }: { id: string; payment_intent?: string }) =>
        intents.has(payment_intent ?? id)
      const statuses: number[] = []
      for (const type of types)
        for (const event of stripe.events().filter((one) => one.type === type && about(one.data.object as never))) {
          const { headers, body } = stripe.webhookOf(event.id)
          const response = await shop.app.http.inject({
            method: 'POST',
            url: '/v1/payments/webhook/stripe',
            headers: { 'content-type': 'application/json', 'stripe-signature': headers['stripe-signature'] },
            payload: body,
          })
          statuses.push(response.statusCode)
        }
      await shop.app.settle()
      return statuses
    },
    witness: (payment) => {
      const intents = intentsOf(payment)
      const moved = [...intents].flatMap((id) => stripe.ledger().intents[id] ?? [])
      const sum = (amounts: number[]) => amounts.reduce((total, amount) => total + amount, 0)
      return {
        objects: intents.size,
        captured: sum(moved.map(({ captured }) => captured)),
        refunded: sum(moved.map(({ refunded }) => refunded)),
      }
    },
    close: async () => {
      await shop.close()
      await stripe.close()
    },
  }
}
