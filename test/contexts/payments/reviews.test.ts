import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Opened, type PayableShop, payableShop } from './shop.ts'

/** P6: a genuine word about other money moves nothing until a person decides. */
let at: PayableShop
let staff: { authorization: string }
beforeAll(async () => {
  at = await payableShop()
  staff = await at.shop.asOwner()
})
afterAll(() => at.close())

/** A payment of 20.00 for which the provider took something else, and told us. */
async function inReview(took: { amount: number; currency?: string }): Promise<Opened> {
  const payment = await at.openPayment(2000, 'USD')
  await at.atProvider('/v1/payments', { reference: payment.id, currency: 'USD', token: 'tok_ok', ...took })
  await at.hand(...(await at.webhooks(payment, 1)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'review', captured: { amountMinor: 0 } })
  return payment
}
const decide = (payment: Opened, decision: string) =>
  at.shop.send('POST', `/v1/payments/${payment.id}/review`, { decision, reason: 'Looked at it' }, staff)
const there = ({ id }: Opened) =>
  at.sandbox
    .ledger()
    .payments.filter(({ reference }) => reference === id)
    .map(({ amountCaptured, amountRefunded }) => [amountCaptured, amountRefunded])

test('sent back, the buyer pays again with another object, and an old word of the first one changes nothing', async () => {
  const payment = await inReview({ amount: 100 })
  expect(await at.attempt(payment, 'tok_ok')).toMatchObject({ status: 409, body: { code: 'payments.in-review' } })
  expect(await decide(payment, 'refund')).toMatchObject({ status: 200, body: { status: 'open' } })
  await at.shop.app.settle()
  expect(there(payment)).toEqual([[100, 100]])
  expect((await at.attempt(payment, 'tok_ok')).body).toMatchObject({ status: 'succeeded' })
  await at.hand(...(await at.webhooks(payment, 3)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'captured', captured: { amountMinor: 2000 } })
  expect(there(payment)).toEqual([
    [100, 100],
    [2000, 0],
  ])
  expect(await decide(payment, 'refund')).toMatchObject({ status: 409, body: { code: 'payments.not-in-review' } })
})

test('accepted though it is less, the payment is made', async () => {
  const payment = await inReview({ amount: 1900 })
  expect(await decide(payment, 'accept')).toMatchObject({
    status: 200,
    body: { status: 'captured', captured: { amountMinor: 1900 } },
  })
  await at.hand(...(await at.webhooks(payment, 1)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'captured', captured: { amountMinor: 1900 } })
})

test('what is of another shop on the same account is acknowledged and left alone', async () => {
  await at.atProvider('/v1/payments', { reference: 'another-shop', amount: 700, currency: 'USD', token: 'tok_ok' })
  const about = () => at.inbox.received.filter(({ body }) => body.toString().includes('another-shop'))
  for (let waited = 0; about().length === 0 && waited < 5_000; waited += 10)
    await new Promise((resolve) => setTimeout(resolve, 10))
  expect(await at.hand(...about())).toEqual([204])
  await at.shop.app.settle()
  const waiting = await at.query(sql`select 1 from payments.inbox where done_at is null`)
  expect(waiting).toEqual([])
})

test('another currency or more than is owed is not accepted', async () => {
  const euros = await inReview({ amount: 2000, currency: 'EUR' })
  expect(await decide(euros, 'accept')).toMatchObject({ status: 409, body: { code: 'payments.cannot-accept' } })
  const more = await inReview({ amount: 2001 })
  expect(await decide(more, 'accept')).toMatchObject({ status: 409, body: { code: 'payments.cannot-accept' } })
  expect(await decide(more, 'dismiss')).toMatchObject({ status: 200, body: { status: 'open' } })
  await at.hand(...(await at.webhooks(more, 1)))
  await at.shop.app.settle()
  expect(await at.read(more)).toMatchObject({ status: 'open' })
})

/** A payment of 20.00 for which the provider reserved something else, and told us. */
async function reserved(amount: number): Promise<Opened & { readonly object: string }> {
  const payment = await at.openPayment(2000, 'USD')
  const wanted = { reference: payment.id, currency: 'USD', token: 'tok_ok', capture: 'manual', amount }
  const { id: object } = await at.atProvider('/v1/payments', wanted)
  await at.hand(...(await at.webhooks(payment, 1)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'review' })
  return { ...payment, object }
}

test('what was only reserved and was dismissed is not held again when it is heard again', async () => {
  const payment = await reserved(1900)
  expect(await decide(payment, 'dismiss')).toMatchObject({ status: 200, body: { status: 'open' } })
  await at.query(sql`
    update payments.inbox set due_at = now(), done_at = null where provider_payment_id = ${payment.object}`)
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'open' })
  expect((await at.attempt(payment, 'tok_ok')).body).toMatchObject({ status: 'succeeded' })
})

test('what was reserved and is taken while it waits for a decision can be sent back', async () => {
  const payment = await reserved(1900)
  await at.atProvider(`/v1/payments/${payment.object}/capture`, {})
  await at.hand(...(await at.webhooks(payment, 2)))
  await at.shop.app.settle()
  expect(await decide(payment, 'refund')).toMatchObject({ status: 200, body: { status: 'open' } })
  await at.shop.app.settle()
  expect(there(payment)).toEqual([[1900, 1900]])
})
