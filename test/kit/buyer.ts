import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

export type Reply = {
  readonly status: number
  readonly body: any
  readonly replayed: boolean
  /** In seconds, as the answer says it. */
  readonly retryAfter?: string | null
}

export const ADDRESS = { name: 'Ann Lee', line1: '1 Main St', city: 'London', postalCode: 'N1 1AA', countryCode: 'GB' }

/** Sends one request as a shop front would; status 0 means that no answer came. A write gets a key of its own. */
export async function send(
  url: string,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const key = method === 'GET' ? {} : { 'idempotency-key': randomUUID() }
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...key, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(15_000),
    })
    const text = await response.text()
    return {
      status: response.status,
      body: text ? JSON.parse(text) : undefined,
      replayed: response.headers.has('idempotent-replayed'),
      retryAfter: response.headers.get('retry-after'),
    }
  } catch {
    return { status: 0, body: undefined, replayed: false }
  }
}

/** The variant of a product with one variant. */
export async function variantOf(url: string, handle: string): Promise<string> {
  const { status, body } = await send(url, 'GET', `/v1/products/${handle}`)
  if (status !== 200) throw new Error(`${handle}: ${status}`)
  return body.variants[0].id
}

export type Line = { readonly variantId: string; readonly quantity: number }

/** A cart that is ready to be ordered, with its token; whose it is can be said. */
export async function fillCart(
  url: string,
  items: readonly Line[],
  whose: { readonly email?: string; readonly shippingAddress?: object } = {},
): Promise<{ id: string; token: string } | Reply> {
  const reply = await send(url, 'POST', '/v1/carts', {
    currency: 'USD',
    items,
    email: 'ann@example.com',
    shippingAddress: ADDRESS,
    shippingMethod: 'standard',
    ...whose,
  })
  return reply.status === 201 ? { id: reply.body.id, token: reply.body.token } : reply
}

/** Orders a cart. */
export const placeOrder = (
  url: string,
  cart: { id: string; token: string },
  key: string = randomUUID(),
): Promise<Reply> =>
  send(url, 'POST', '/v1/orders', { cartId: cart.id }, { 'x-cart-token': cart.token, 'idempotency-key': key })

export type Payable = { readonly token: string; readonly payment: { readonly id: string } }

/** One attempt to pay an order, as its buyer. */
export const attempt = (url: string, order: Payable, body: object, key: string): Promise<Reply> =>
  send(url, 'POST', `/v1/payments/${order.payment.id}/attempts`, body, {
    'x-order-token': order.token,
    'idempotency-key': key,
  })

/** Pays an order by the sandbox. */
export const pay = (url: string, order: Payable, token = 'tok_ok', key: string = randomUUID()): Promise<Reply> =>
  attempt(url, order, { method: 'sandbox', token }, key)

/** Waits until the order has one of these states; resolves with the last state seen. */
export async function waitForOrder(
  url: string,
  order: { id: string; token: string },
  states: readonly string[],
  timeoutMs = 10_000,
): Promise<string> {
  const until = Date.now() + timeoutMs
  for (;;) {
    const { body } = await send(url, 'GET', `/v1/orders/${order.id}`, undefined, { 'x-order-token': order.token })
    if (states.includes(body?.status) || Date.now() > until) return body?.status ?? 'unknown'
    await pause(50)
  }
}
