import { afterAll, beforeAll, test } from 'vitest'
import { mailsTo } from '../kit/mails.ts'
import { type Bought, type StripeShop, stripeShop, violationsOf } from '../kit/stripe-shop.ts'
import { verdict, whichHold } from '../kit/verdict.ts'

/** P7 over Stripe: what is paid and cannot be delivered goes back by itself, within a minute. */
let at: StripeShop
beforeAll(async () => {
  at = await stripeShop()
})
afterAll(() => at.close())

test.each([
  ['one by one', false],
  ['all at once', true],
])(
  'the last unit, three captured payments, heard %s: one order is paid, two get their money back',
  async (how, atOnce) => {
    const last = await at.shop.aProduct(`last-${how.replaceAll(' ', '-')}`, { units: 1 })
    const orders: Bought[] = []
    for (let i = 0; i < 3; i += 1) {
      orders.push(await at.anOrder(last))
      at.advance(16)
      await at.settle()
    }
    const intents = await Promise.all(orders.map((order) => at.payUnheard(order)))
    const told = at.eventsByPayment()
    for (const order of orders) {
      await at.hand(...(told.get(order.paymentId) ?? []).map((event) => at.webhookOf(event)))
      if (!atOnce) await at.settle()
    }
    const heardAt = at.shop.clock.now
    await Promise.all([at.settle(), at.settle()])
    for (let seconds = 0; seconds < 60 && backAt(intents) < 2; seconds += 5) {
      at.advance(5 / 60)
      await at.settle()
    }
    const seconds = (at.shop.clock.now.getTime() - heardAt.getTime()) / 1_000
    const read = await Promise.all(orders.map((order) => at.readOrder(order)))
    const mails = await mailsTo(at.shop, 'ann@example.com')
    const states = read.map(({ status }) => status)
    const violations = whichHold({
      [`the refunds took ${seconds} s of the shop's clock`]: seconds > 60,
      [`the orders are ${states}`]: states.toSorted().join() !== 'cancelled,cancelled,paid',
    })
    const { intents: there } = at.stripe.ledger()
    for (const [i, intent] of intents.entries()) {
      const { totalMinor } = orders[i] as Bought
      const refunded = states[i] === 'paid' ? 0 : totalMinor
      const { captured, refunded: back, balance } = there[intent] ?? {}
      const { number } = read[i]
      const letters = mails.filter(({ text }) => text.includes(number) && text.includes('had been sold')).length
      violations.push(
        ...whichHold({
          [`${back} of ${captured} went back of a ${states[i]} order`]: captured !== totalMinor || back !== refunded,
          [`${balance} of ${totalMinor} stays at Stripe`]: balance !== totalMinor - refunded,
          [`${letters} mails tell the buyer of a ${states[i]} order that it was sold`]: letters !== (refunded ? 1 : 0),
        }),
      )
    }
    violations.push(...(await violationsOf(at)))
    verdict({ promise: 'P7', tried: `payments captured for the last unit, heard ${how}`, n: orders.length, violations })
  },
)

/** How many of these have gone back at Stripe. */
function backAt(intents: readonly string[]): number {
  const there = at.stripe.ledger().intents
  return intents.filter((id) => (there[id]?.refunded ?? 0) > 0).length
}
