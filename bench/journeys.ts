import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { ADDRESS } from '../test/kit/buyer.ts'
import { type Client, withClients } from './client.ts'
import { quantile } from './numbers.ts'

export type Journeys = {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly failed: number
}

const POLL_MS = 20
export const DETAILS = { email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }

/**
 * So many buyers buy without pause for so long: cart, two items, address, order, payment, and GET order until it reads
 * `paid`. Counts journeys that ended within the time.
 */
export const measureJourneys = (
  url: string,
  variantIds: readonly string[],
  buyers: number,
  seconds: number,
): Promise<Journeys> =>
  withClients(url, buyers, async (clients) => {
    const times: number[] = []
    let failed = 0
    const until = performance.now() + seconds * 1000
    const buyAndBuy = async (client: Client, number: number) => {
      for (let i = number; performance.now() < until; i += buyers) {
        const start = performance.now()
        const first = variantIds[i % variantIds.length] as string
        const second = variantIds[(i * 7 + 3) % variantIds.length] as string
        const isPaid = await buy(client, first, second)
        if (!isPaid) failed += 1
        else if (performance.now() <= until) times.push(performance.now() - start)
      }
    }
    await Promise.all(clients.map(buyAndBuy))
    const sorted = times.sort((a, b) => a - b)
    return {
      perSecond: times.length / seconds,
      p50Ms: quantile(sorted, 0.5),
      p95Ms: quantile(sorted, 0.95),
      p99Ms: quantile(sorted, 0.99),
      failed,
    }
  })

/** One purchase, step by step, with a key where one is required; false as soon as an answer is not the expected one. */
async function buy({ send }: Client, first: string, second: string): Promise<boolean> {
  const cart = await send('POST', '/v1/carts', { currency: 'USD' })
  if (cart.status !== 201) return false
  const cartToken = { 'x-cart-token': cart.body.token }
  const at = `/v1/carts/${cart.body.id}`
  for (const variantId of [first, second])
    if ((await send('POST', `${at}/items`, { variantId, quantity: 1 }, cartToken)).status !== 201) return false
  if ((await send('PATCH', at, DETAILS, cartToken)).status !== 200) return false
  const order = await send('POST', '/v1/orders', { cartId: cart.body.id }, { ...cartToken, ...key() })
  if (order.status !== 201) return false
  const orderToken = { 'x-order-token': order.body.token }
  const attempt = await send(
    'POST',
    `/v1/payments/${order.body.payment.id}/attempts`,
    { method: 'sandbox', token: 'tok_ok' },
    { ...orderToken, ...key() },
  )
  if (attempt.body.status !== 'succeeded') return false
  for (let tries = 0; tries < 100; tries += 1) {
    const { body } = await send('GET', `/v1/orders/${order.body.id}`, undefined, orderToken)
    if (body.status === 'paid') return true
    await pause(POLL_MS)
  }
  return false
}

/** The Idempotency-Key that a request which moves stock or money must carry. */
export const key = () => ({ 'idempotency-key': randomUUID() })
