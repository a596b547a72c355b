import { networkOf } from '#platform/http/address.ts'
import type { Limiter, Limits } from '#platform/limits/limits.ts'
import type { CardTesting, Payer } from '../application/attempt-payment.ts'

/** How many declined attempts one order, account and address may have: whoever tries stolen cards has many. */
export const DECLINE_LIMITS = {
  order: { points: 10, seconds: 3_600 },
  account: { points: 10, seconds: 3_600 },
  address: { points: 30, seconds: 3_600 },
} as const

/** Counts declines. A try counts as one from its start until it turns out otherwise: many at once get no further than one by one. */
export function cardTesting(limits: Limits): CardTesting {
  const counters = {
    order: limits.define('declines-order', DECLINE_LIMITS.order),
    account: limits.define('declines-account', DECLINE_LIMITS.account),
    address: limits.define('declines-address', DECLINE_LIMITS.address),
  }
  const countersOf = ({ orderId, userId, address }: Payer) =>
    Object.entries({ order: orderId, account: userId, address: address && networkOf(address) }).flatMap(([by, key]) =>
      key ? [{ name: `declines-${by}`, counter: counters[by as keyof typeof counters], key }] : [],
    )
  const giveBack = async (taken: readonly { counter: Limiter; key: string }[]) => {
    await Promise.all(taken.map(({ counter, key }) => counter.giveBack(key)))
  }
  return {
    beginTry: async (payer) => {
      const all = countersOf(payer)
      for (const [index, { name, counter, key }] of all.entries()) {
        const { allowed, retryAfterSeconds } = await counter.take(key)
        if (allowed) continue
        await giveBack(all.slice(0, index))
        return { limit: name, retryAfterSeconds }
      }
      return undefined
    },
    notDeclined: (payer) => giveBack(countersOf(payer)),
  }
}
