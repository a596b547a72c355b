import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditShop } from '../../src/cli/audit.ts'
import { type Buying, openForBuying, type Placed } from '../contexts/orders/buying.ts'
import * as unheard from '../contexts/orders/unheard.ts'
import type { Sent } from '../kit/shop.ts'

/**
 * P3, P7: holds end, buyers cancel, pay, order anew, and money lands late, all at once and in a random order by seed.
 * Whatever came of it, no answer is a 5xx and every oracle holds.
 */
let buying: Buying
beforeAll(async () => {
  buying = await openForBuying({ PAYMENT_TIMEOUT_MS: '300', DATABASE_CONNECTIONS: '20' })
})
afterAll(() => buying.close())

/** A small generator of numbers below n, the same for the same seed. */
function randomOf(seed: number): (n: number) => number {
  let state = seed
  return (n) => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return (state >> 8) % n
  }
}

const payUnheard = (order: Placed) => unheard.payUnheard(buying, order)
const tellOf = (id: string) => unheard.tellOf(buying, id)
const settle = () => buying.shop.app.settle()
const lapse = (minutes: number) => buying.shop.clock.advance(minutes)
const TOKENS = ['tok_ok', 'tok_timeout', 'tok_processing', 'tok_declined', 'tok_error']

/** Everything that can happen to an order, each with the answers that a client saw. */
const happenings: ((order: Placed, random: (n: number) => number) => Promise<(Sent | undefined)[]>)[] = [
  async (order) => [await buying.send('POST', `/v1/orders/${order.id}/cancellation`, {}, order.headers)],
  async (order, random) => [await buying.pay(order, TOKENS[random(TOKENS.length)])],
  async (order) => [await buying.order(order.cart)],
  async (order) => [await tellOf(await payUnheard(order))],
  async (_, random) => {
    lapse(random(3) * 8)
    await Promise.all([settle(), settle()])
    return []
  },
  async (order) => {
    const id = await payUnheard(order)
    lapse(16)
    await settle()
    return [await buying.order(order.cart), await tellOf(id)]
  },
  async (order) => {
    lapse(16)
    const [, told, paid] = await Promise.all([settle(), payUnheard(order).then(tellOf), buying.pay(order)])
    return [told, paid]
  },
]

test.each([1, 2, 3, 4, 5, 6])('seed %i', async (seed) => {
  const random = randomOf(seed)
  const [a, b] = [await buying.aVariant({ onHand: 8 }), await buying.aVariant({ onHand: 8 })]
  const orders = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const items = (i % 2 ? [a, b] : [b, a]).map((variantId) => ({ variantId, quantity: 1 }))
      return buying.placed(await buying.aCart(items))
    }),
  )
  const answers = await Promise.all(
    [...orders, ...orders, ...orders].map(async (order) => {
      await pause(random(60))
      return happenings[random(happenings.length)]?.(order, random) ?? []
    }),
  )
  const failed = answers.flat().filter((answer) => answer && answer.status >= 500)
  expect(failed.map((answer) => answer?.text)).toEqual([])
  lapse(16)
  await settle()
  await Promise.all(orders.filter(() => random(2) === 0).map((order) => payUnheard(order).then(tellOf)))
  for (let i = 0; i < 10; i += 1) {
    lapse(12)
    await settle()
  }
  const findings = await auditShop(buying.shop.app, true, buying.shop.clock.now)
  expect(findings.flatMap(({ id, violations }) => violations.map((violation) => ({ id, ...violation })))).toEqual([])
})
