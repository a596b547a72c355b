import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Opened, type StripeShop, stripeShop } from '../contexts/payments/stripe-shop.ts'
import type { Fault } from '../kit/stripe/faults.ts'

/** Whatever a provider, or something that stands between, answers: it is handled, and only sense changes the books. */
let at: StripeShop
beforeEach(async () => {
  at = await stripeShop()
})
afterEach(() => at.close())

const refund = async ({ id }: Opened) =>
  at.shop.send(
    'POST',
    `/v1/payments/${id}/refunds`,
    { amount: { amountMinor: 1999, currency: 'USD' }, reason: 'too small' },
    await at.shop.asOwner(),
  )
const booksOf = async (payment: Opened) => {
  const { status, captured, refunded } = await at.read(payment)
  return { status, captured: captured.amountMinor, refunded: refunded.amountMinor }
}
const settleLater = async (minutes: number) => {
  at.shop.clock.advance(minutes)
  await at.shop.app.settle()
}

test.each<[string, Fault]>([
  ['a page with status 200', { kind: 'html', status: 200, at: 'after' }],
  ['a page with status 404', { kind: 'html', status: 404, at: 'before' }],
  ['ten megabytes', { kind: 'huge' }],
  ['half an answer', { kind: 'cut' }],
  ['a redirect to elsewhere', { kind: 'redirect', to: 'http://169.254.169.254/latest/meta-data' }],
  ['nothing that names itself', { kind: 'changed', without: ['id', 'status', 'object', 'data'] }],
  ['amounts that are none', { kind: 'changed', set: { amount: '1999', amount_received: -5, data: 'none' } }],
  ['a status of another world', { kind: 'changed', set: { status: 'teleported', data: null } }],
  ['an error without a kind', { kind: 'changed', set: { error: 'because' } }],
])('%s: no 500, and the books stay as they are', async (_what, fault) => {
  const [open, paid] = [await at.openPayment(), await at.openPayment()]
  await at.attempt(paid, 'pm_card_visa')
  expect(await booksOf(paid)).toEqual({ status: 'captured', captured: 1999, refunded: 0 })

  at.stripe.faults({ rate: 1, fault })
  const attempt = await at.attempt(open, 'pm_card_visa')
  expect(attempt.status).toBe(201)
  expect(attempt.body.status).toMatch(/^(processing|declined)$/)
  expect(await refund(paid)).toMatchObject({ status: 201, body: { status: 'pending' } })
  expect(await at.tell(paid, 'charge.succeeded', 'payment_intent.succeeded', 'payment_intent.created')).toEqual([
    204, 204, 204,
  ])
  await settleLater(1)
  expect(await booksOf(open)).toEqual({ status: 'open', captured: 0, refunded: 0 })
  expect(await booksOf(paid)).toMatchObject({ captured: 1999, refunded: 0 })
  for (const { path } of at.stripe.requests()) expect(path).toMatch(/^\/v1\//)
})

test.each<[string, object]>([
  ['another currency', { currency: 'eur' }],
  ['another amount', { amount: 1, amount_received: 1 }],
  ['another payment of ours', { metadata: { paymentId: 'pay_01h455vb4pex5vsknk084sn02q' } }],
])('%s than was asked for pays nothing', async (_what, set) => {
  const payment = await at.openPayment()
  at.stripe.faults({ rate: 1, fault: { kind: 'changed', set } })
  const attempt = await at.attempt(payment, 'pm_card_visa')
  expect(attempt.status).toBeLessThan(500)
  await settleLater(1)
  expect(await booksOf(payment)).toMatchObject({ captured: 0, refunded: 0 })
  expect((await booksOf(payment)).status).not.toBe('captured')
})
