import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditShop } from '../../../src/cli/audit.ts'
import { mailsTo } from '../../kit/mails.ts'
import { type Buying, openForBuying, type Placed } from './buying.ts'
import { payUnheard, tellOf } from './unheard.ts'

/** P7: paid but unfulfillable is never silent. The money goes back, and whoever paid is told. */
let buying: Buying
beforeAll(async () => {
  buying = await openForBuying()
})
afterAll(() => buying?.close())

type Buyer = Placed & { readonly email: string }
async function order(variantId: string, headers: Record<string, string> = {}): Promise<Buyer> {
  const email = `${randomUUID()}@example.com`
  return { ...(await buying.placed(await buying.aCart([{ variantId, quantity: 1 }], { email }, headers))), email }
}
const lapse = async () => {
  buying.shop.clock.advance(16)
  await buying.shop.app.settle()
}
const statusOf = async (one: Placed): Promise<string> => (await buying.read(one)).body.status
const payments = async (orders: readonly Placed[]) =>
  buying.rows(sql<{ captured_minor: number; refunded_minor: number }>`
    select captured_minor, refunded_minor from payments.payments
    where order_id = any(${orders.map(({ id }) => id)}::text[]) order by refunded_minor`)
const said = async ({ email }: Buyer): Promise<string[]> =>
  (await mailsTo(buying.shop, email)).map(({ subject, text }) => `${subject}\n${text}`)
const told = async (one: Buyer, what: RegExp): Promise<string[]> => (await said(one)).filter((mail) => what.test(mail))

const CANNOT = /cannot be fulfilled: your money goes back\n/
const SENT = /^Stoa has sent \$\d+\.\d\d back to you\n/

/** Waits for the background: each of them was told that their order is paid, or that their money was sent back. */
async function everybodyTold(orders: readonly Buyer[], withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  const isTold = async ({ email }: Buyer) => {
    const mails = (await buying.send('GET', '/dev/mailbox.json')).body as { to: string; subject: string }[]
    const has = (what: RegExp) => mails.some(({ to, subject }) => to === email && what.test(subject))
    return has(/^Your payment for/) || (has(/money goes back$/) && has(/back to you$/))
  }
  while (performance.now() < until && !(await Promise.all(orders.map(isTold))).every(Boolean)) await pause(50)
}

describe('money for an order that has ended', () => {
  it('tells who had cancelled, in their language', async () => {
    const one = await order(await buying.aVariant(), { 'accept-language': 'de' })
    const id = await payUnheard(buying, one)
    expect((await buying.send('POST', `/v1/orders/${one.id}/cancellation`, {}, one.headers)).status).toBe(200)
    await tellOf(buying, id)
    const [mail] = await told(one, /kann nicht ausgeführt werden: Ihr Geld geht zurück\n/)
    expect(mail).toContain('kam an, als die Bestellung storniert worden war')
    expect(await told(one, /^Stoa hat Ihnen .* zurückgezahlt\n/)).toHaveLength(1)
  })

  it('tells who had ordered the cart anew', async () => {
    const one = await order(await buying.aVariant())
    const id = await payUnheard(buying, one)
    await lapse()
    expect((await buying.order(one.cart)).status).toBe(201)
    await tellOf(buying, id)
    const [mail] = await told(one, CANNOT)
    expect(mail).toContain('its cart had been used for another order')
  })

  it('is told as it went back, when an order was paid twice; the order stays', async () => {
    const one = await order(await buying.aVariant())
    expect((await buying.pay(one)).body.status).toBe('succeeded')
    await buying.shop.app.settle()
    await tellOf(buying, await payUnheard(buying, one))
    const [mail] = await told(one, SENT)
    expect(mail).toContain('was paid more than once')
    expect(await told(one, CANNOT)).toEqual([])
    expect(await statusOf(one)).toBe('paid')
  })

  it('P7: the last unit, three captured payments: one order, two refunds within 60 s, everybody told', async () => {
    const variantId = await buying.aVariant({ onHand: 1 })
    const orders: Buyer[] = []
    for (let i = 0; i < 3; i += 1) {
      orders.push(await order(variantId))
      await lapse()
    }
    expect(await Promise.all(orders.map(statusOf))).toEqual(['expired', 'expired', 'expired'])
    const paid = await Promise.all(orders.map((one) => payUnheard(buying, one)))
    const landed = performance.now()
    await buying.shop.app.startWork()
    await Promise.all(paid.map((id) => tellOf(buying, id)))
    await everybodyTold(orders, 60_000)
    expect(performance.now() - landed).toBeLessThan(60_000)

    const finals = await Promise.all(orders.map(statusOf))
    expect(finals.toSorted()).toEqual(['cancelled', 'cancelled', 'paid'])
    const total = orders[0]?.body.total.amountMinor
    const books = await payments(orders)
    expect(books.map(({ captured_minor, refunded_minor }) => [captured_minor, refunded_minor])).toEqual([
      [total, 0],
      [total, total],
      [total, total],
    ])
    for (const [index, one] of orders.entries()) {
      const [cannot, sent] = [await told(one, CANNOT), await told(one, SENT)]
      if (finals[index] === 'paid') {
        expect([cannot, sent]).toEqual([[], []])
        expect(await told(one, /^Your payment for order .* at Stoa\n/)).toHaveLength(1)
      } else {
        expect(cannot).toEqual([expect.stringContaining('the time to pay was over and the goods had been sold')])
        expect(cannot[0]).toContain(`All of your payment, $${(total / 100).toFixed(2)}, goes back`)
        expect(sent).toHaveLength(1)
        expect(await told(one, /is cancelled\n/)).toEqual([])
      }
    }
    const findings = await auditShop(buying.shop.app, true, buying.shop.clock.now)
    expect(findings.flatMap(({ violations }) => violations)).toEqual([])
  }, 90_000)
})
