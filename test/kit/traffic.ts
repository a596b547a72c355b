import { ADDRESS, pay, placeOrder, type Reply, send } from './buyer.ts'
import { p99Of } from './verdict.ts'

type Step = {
  readonly what: string
  readonly status: number
  readonly ask: () => Promise<Reply>
  readonly next?: (body: any) => Step
}

/** Requests that were sent, and each one that failed, in words: whatever a buyer would see of it. */
export type Traffic = { readonly sent: number; readonly failed: readonly string[]; readonly p99Ms: number }

/**
 * Buyers who look around, fill carts, order, pay and read their order: so many requests a second, whether those of before
 * were answered or not. A third of what is begun is a purchase. A buyer gives up at an answer that is excused.
 */
export function startTraffic(
  url: string,
  variantId: string,
  perSecond: number,
  isExcused: (reply: Reply) => boolean = () => false,
) {
  const times: number[] = []
  const failed: string[] = []
  const waiting: Step[] = []
  const underWay = new Set<Promise<void>>()
  const purchase = purchaseOf(url, variantId)
  const take = async ({ what, status, ask, next }: Step) => {
    const began = performance.now()
    const reply = await ask()
    const ms = performance.now() - began
    times.push(ms)
    if (reply.status === status) return void (next && waiting.push(next(reply.body)))
    if (isExcused(reply)) return
    failed.push(`${what}: ${reply.status || 'no answer'} ${reply.body?.code ?? ''} after ${Math.round(ms)} ms`)
  }
  const began = performance.now()
  let begun = 0
  const ticks = setInterval(() => {
    for (const due = ((performance.now() - began) / 1_000) * perSecond; begun < due; begun += 1) {
      const step = waiting.shift() ?? (begun % 3 === 0 ? purchase : looks(url)[begun % 2])
      const taken: Promise<void> = take(step as Step).finally(() => underWay.delete(taken))
      underWay.add(taken)
    }
  }, 5)
  return {
    stop: async (): Promise<Traffic> => {
      clearInterval(ticks)
      await Promise.all(underWay)
      return {
        sent: times.length,
        failed,
        p99Ms: p99Of(times),
      }
    },
  }
}

const looks = (url: string): Step[] =>
  ['/v1/products', '/v1/products/mug'].map((path) => ({ what: path, status: 200, ask: () => send(url, 'GET', path) }))

const purchaseOf = (url: string, variantId: string): Step => ({
  what: 'cart',
  status: 201,
  ask: () =>
    send(url, 'POST', '/v1/carts', {
      currency: 'USD',
      items: [{ variantId, quantity: 1 }],
      ...{ email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' },
    }),
  next: (cart) => ({
    what: 'order',
    status: 201,
    ask: () => placeOrder(url, cart),
    next: (order) => ({
      what: 'payment',
      status: 201,
      ask: () => pay(url, order),
      next: () => ({
        what: 'the order read',
        status: 200,
        ask: () => send(url, 'GET', `/v1/orders/${order.id}`, undefined, { 'x-order-token': order.token }),
      }),
    }),
  }),
})
