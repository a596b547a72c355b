import { setTimeout as pause } from 'node:timers/promises'
import { ADDRESS, pay, type Reply, send, waitForOrder } from './buyer.ts'

type Headers = Readonly<Record<string, string>>

/** An order as its buyer saw it acknowledged, and the headers that show whose it is. */
export type Acknowledged = {
  readonly id: string
  readonly totals: object
  readonly lines: readonly object[]
  readonly asBuyer: Headers
}

export type Selling = {
  readonly acknowledged: readonly Acknowledged[]
  /** Answers that a buyer must not get: 5xx, or none at all. */
  readonly failed: readonly string[]
  /** Resolves when so many orders are acknowledged; fails when that takes too long. */
  reaches(count: number): Promise<void>
  /** No buyer begins anything any more; resolves when all have their answers. */
  stop(): Promise<void>
}

/** Who buys what: `name` is what stands in the addresses and the e-mails, `random` what the choices follow from. */
export type Market = {
  readonly variants: readonly string[]
  readonly name: string
  readonly customer: Headers
  readonly random: () => number
}

const BUYERS = 6
const SELLS_MS = 30_000

/** Guests and a customer buy without a pause: most pay, some of them in vain, some cancel, some do neither. */
export function keepSelling(url: string, { variants, name, customer, random }: Market): Selling {
  const acknowledged: Acknowledged[] = []
  const failed: string[] = []
  let open = true
  const ask = async (path: string, body: object | undefined, headers: Headers): Promise<Reply> => {
    const reply = await send(url, 'POST', path, body, headers)
    if (reply.status === 0 || reply.status >= 500) failed.push(`POST ${path}: ${reply.status} ${reply.body?.code}`)
    return reply
  }
  const buy = async () => {
    const items = variants
      .filter(() => random() < 0.7)
      .map((variantId) => ({ variantId, quantity: 1 + Math.floor(random() * 3) }))
    const who = random() < 0.3 ? customer : {}
    const cart = await ask(
      '/v1/carts',
      {
        ...{ currency: 'USD', items, email: `${name}@example.com`, shippingMethod: 'standard' },
        shippingAddress: { ...ADDRESS, name, line1: name },
      },
      who,
    )
    const token: Headers = cart.body?.token ? { 'x-cart-token': cart.body.token } : {}
    const { status, body: order } = await send(
      url,
      'POST',
      '/v1/orders',
      { cartId: cart.body?.id },
      { ...who, ...token },
    )
    if (status !== 201) return
    const asBuyer = { ...who, 'x-order-token': order.token }
    acknowledged.push({ ...order, asBuyer })
    const attempt = { method: 'sandbox', token: random() < 0.8 ? 'tok_ok' : 'tok_declined' }
    if (random() < 0.6) await ask(`/v1/payments/${order.payment.id}/attempts`, attempt, asBuyer)
    else if (random() < 0.5) await ask(`/v1/orders/${order.id}/cancellation`, {}, asBuyer)
  }
  const buyers = Array.from({ length: BUYERS }, async () => {
    while (open) await buy()
  })
  return {
    acknowledged,
    failed,
    reaches: async (count) => {
      for (const until = Date.now() + SELLS_MS; acknowledged.length < count; await pause(10))
        if (Date.now() > until) throw new Error(`The shop took ${acknowledged.length} of ${count} orders.`)
    },
    stop: async () => {
      open = false
      await Promise.all(buyers)
    },
  }
}

/** Makes an account and logs in: the headers of its owner. */
export async function aCustomer(url: string, name: string): Promise<Headers> {
  const account = { email: `customer-${name}@example.com`, password: `${name}, and a word more` }
  await send(url, 'POST', '/v1/auth/register', { ...account, name })
  const { status, body } = await send(url, 'POST', '/v1/auth/login', account)
  if (status !== 200) throw new Error(`The customer could not log in: ${status}`)
  return { authorization: `Bearer ${body.accessToken}` }
}

/** One buys and pays, and staff give a part of the money back. */
export async function aRefund(url: string, variantId: string, asOwner: Headers): Promise<void> {
  const { body: cart } = await send(url, 'POST', '/v1/carts', {
    ...{ currency: 'USD', items: [{ variantId, quantity: 2 }], email: 'ann@example.com', shippingMethod: 'standard' },
    shippingAddress: ADDRESS,
  })
  const { body: order } = await send(url, 'POST', '/v1/orders', { cartId: cart.id }, { 'x-cart-token': cart.token })
  await pay(url, order)
  await waitForOrder(url, order, ['paid'])
  const refund = { amount: { amountMinor: 700, currency: 'USD' }, reason: 'Scratched' }
  const { status } = await send(url, 'POST', `/v1/payments/${order.payment.id}/refunds`, refund, asOwner)
  if (status !== 201) throw new Error(`The refund was refused: ${status}`)
}
