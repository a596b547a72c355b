import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { type Opened, type PayableShop, payableShop } from './shop.ts'

let at: PayableShop
let staff: { authorization: string }
beforeAll(async () => {
  at = await payableShop()
  staff = await at.shop.asOwner()
})
afterAll(() => at.close())
afterEach(() => enableFailpoints(''))

async function paid(amountMinor = 1999, currency = 'USD'): Promise<Opened> {
  const payment = await at.openPayment(amountMinor, currency)
  expect((await at.attempt(payment, 'tok_ok')).body.status).toBe('succeeded')
  return payment
}
const refund = (payment: Opened, amountMinor: number, key: string = randomUUID(), currency = 'USD') =>
  at.shop.send(
    'POST',
    `/v1/payments/${payment.id}/refunds`,
    { amount: { amountMinor, currency }, reason: 'Came too late' },
    { ...staff, 'idempotency-key': key },
  )
const givenBack = ({ id }: Opened) =>
  at.sandbox.ledger().payments.find(({ reference }) => reference === id)?.amountRefunded

test('a part, then the rest, then nothing more', async () => {
  const payment = await paid()
  expect(await refund(payment, 500)).toMatchObject({
    status: 201,
    body: { paymentId: payment.id, status: 'succeeded', amount: { amountMinor: 500, currency: 'USD' } },
  })
  expect(await refund(payment, 1500)).toMatchObject({
    status: 409,
    body: { code: 'payments.refund-exceeds-captured', left: { amountMinor: 1499, currency: 'USD' } },
  })
  expect((await refund(payment, 1499)).status).toBe(201)
  expect(await at.read(payment)).toMatchObject({
    status: 'captured',
    refunded: { amountMinor: 1999 },
    refunds: [{}, {}],
  })
  expect(givenBack(payment)).toBe(1999)
  const told = await at.query(sql<{ data: object }>`
    select data from platform.events where subject = ${payment.id} and type = 'payments.refunded.v1' order by id`)
  expect(told).toMatchObject([
    { data: { amountMinor: 500, refundedTotalMinor: 500, capturedMinor: 1999, orderId: payment.orderId } },
    { data: { amountMinor: 1499, refundedTotalMinor: 1999, capturedMinor: 1999 } },
  ])
  const audited = await at.query(sql`select 1 from platform.audit_log where subject = ${payment.id}`)
  expect(audited).toHaveLength(2)
})

test('thirty at once never give back more than was taken', async () => {
  const payment = await paid(1000)
  const answers = await Promise.all(Array.from({ length: 30 }, () => refund(payment, 300)))
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(3)
  for (const { status, body } of answers)
    if (status !== 201) expect([status, body.code]).toEqual([409, 'payments.refund-exceeds-captured'])
  expect(givenBack(payment)).toBe(900)
  expect((await at.read(payment)).refunded.amountMinor).toBe(900)
})

test('the same key gives one refund and the same bytes', async () => {
  const payment = await paid()
  const answers = await Promise.all(Array.from({ length: 10 }, () => refund(payment, 100, 'one-key')))
  expect(answers.filter(({ status }) => status === 201).length).toBeGreaterThan(0)
  const texts = new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text))
  expect(texts.size).toBe(1)
  expect(givenBack(payment)).toBe(100)
  expect(await refund(payment, 100, 'one-key')).toMatchObject({
    headers: { 'idempotent-replayed': 'true' },
    text: [...texts][0],
  })
  expect(await refund(payment, 101, 'one-key')).toMatchObject({ status: 422 })
})

test.each(['refund.before-call', 'refund.after-call'])(
  'a crash at %s: carried out once, by whoever comes first',
  async (name) => {
    const payment = await paid()
    enableFailpoints(`${name}=error`)
    expect((await refund(payment, 700, 'crashed')).status).toBe(500)
    enableFailpoints('')
    expect(await refund(payment, 700, 'crashed')).toMatchObject({ status: 409, body: { code: 'platform.in-progress' } })
    at.shop.clock.advance(1)
    await at.shop.app.settle()
    expect(givenBack(payment)).toBe(700)
    expect(await refund(payment, 700, 'crashed')).toMatchObject({ status: 201, body: { status: 'succeeded' } })
    expect((await at.read(payment)).refunded.amountMinor).toBe(700)
    at.shop.clock.now = new Date()
  },
)

test('a refund in full is promised in the transaction of who asks, and sent after it', async () => {
  const payment = await paid()
  await refund(payment, 500)
  const inFull = () =>
    at.shop.app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
      at.shop.app.contexts.payments.refundInFull(work, payment.id, 'Cannot be fulfilled'),
    )
  await inFull()
  await inFull()
  expect(givenBack(payment)).toBe(500)
  await at.shop.app.settle()
  expect(givenBack(payment)).toBe(1999)
  expect(await at.read(payment)).toMatchObject({
    refunded: { amountMinor: 1999 },
    refunds: [{ status: 'succeeded' }, { status: 'succeeded' }],
  })
})

test('a refund that the provider will not make fails, and can be asked for again', async () => {
  const payment = await paid()
  const [held] = at.sandbox.ledger().payments.filter(({ reference }) => reference === payment.id)
  await at.atProvider(`/v1/payments/${held?.id}/refunds`, { amount: 1999 })
  expect(await refund(payment, 1000)).toMatchObject({ status: 201, body: { status: 'failed' } })
  expect((await at.read(payment)).refunded.amountMinor).toBe(0)
  expect(await at.shop.app.contexts.payments.compareWithProviders()).toMatchObject([
    { subject: payment.id, detail: expect.stringMatching(/refunded 1999.*the books say 1999, 0/) },
  ])
})

test('who may not, what is not there, and what makes no sense', async () => {
  const open = await at.openPayment()
  expect(await refund(open, 1)).toMatchObject({ status: 409, body: { code: 'payments.not-captured' } })
  expect(await refund(await paid(), 1, randomUUID(), 'EUR')).toMatchObject({
    body: { code: 'payments.currency-mismatch' },
  })
  expect((await refund({ ...open, id: 'pay_01jd2zq8k5e6v9w3x7y2m4n6p8' }, 1)).status).toBe(404)
  for (const amount of [0, -1, 1.5, 2 ** 53]) expect((await refund(open, amount)).status).toBeGreaterThanOrEqual(400)
  const body = { amount: { amountMinor: 1, currency: 'USD' }, reason: 'x' }
  expect(
    (await at.shop.send('POST', `/v1/payments/${open.id}/refunds`, body, { 'x-order-token': open.token })).status,
  ).toBe(401)
})
