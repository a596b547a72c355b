import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bearer, PASSWORD, peopleOf } from '../users/people.ts'
import { type Opened, type PayableShop, payableShop } from './shop.ts'

type Headers = Record<string, string>
let at: PayableShop
let owner: Headers
let finance: Headers
let support: Headers
let customer: Headers
let declinedThenPaid: Opened
let paidTwice: Opened
let reviewed: Opened
let disputed: Opened
beforeAll(async () => {
  at = await payableShop()
  owner = await at.shop.asOwner()
  const people = peopleOf(at.shop)
  const staff = async (role: string) => {
    const email = `${role}@shop.example`
    await at.shop.send('POST', '/v1/users', { email, password: PASSWORD, name: role, roles: [role] }, owner)
    return bearer(await people.logIn(email))
  }
  finance = await staff('finance')
  support = await staff('support')
  customer = bearer(await people.customer('ann@example.com'))

  declinedThenPaid = await at.openPayment()
  await at.attempt(declinedThenPaid, 'tok_declined')
  await at.attempt(declinedThenPaid, 'tok_ok')
  const refund = { amount: { amountMinor: 500, currency: 'USD' }, reason: 'Broken' }
  await at.shop.send('POST', `/v1/payments/${declinedThenPaid.id}/refunds`, refund, owner)
  await at.hand(...(await at.webhooks(declinedThenPaid, 2)))

  paidTwice = await at.openPayment()
  await at.attempt(paidTwice, 'tok_ok')
  await at.atProvider('/v1/payments', { reference: paidTwice.id, amount: 1999, currency: 'USD', token: 'tok_ok' })
  await at.hand(...(await at.webhooks(paidTwice, 2)))

  reviewed = await at.openPayment()
  await at.atProvider('/v1/payments', { reference: reviewed.id, amount: 2000, currency: 'USD', token: 'tok_ok' })
  await at.hand(...(await at.webhooks(reviewed, 1)))

  disputed = await at.openPayment()
  await at.attempt(disputed, 'tok_ok')
  await at.query(sql`
    insert into payments.disputes (payment_id, provider, provider_payment_id, provider_dispute_id, amount_minor, currency,
      reason, status, opened_at)
    select id, provider, provider_payment_id, 'dp_1', 1999, 'USD', 'fraudulent', 'open', now()
    from payments.payments where id = ${disputed.id}`)
  await at.shop.app.settle()
})
afterAll(() => at.close())

const read = async ({ id }: Opened, headers: Headers) =>
  (await at.shop.send('GET', `/v1/payments/${id}`, undefined, headers)).body
const STAFF_ONLY = ['provider', 'providerPaymentId', 'reviewReason', 'authorisedUntil', 'reviews', 'disputes'].concat([
  'captureRequests',
  'surplusRefunds',
  'webhooks',
  'ledger',
])

describe('one payment', () => {
  test('to its buyer: attempts with why they failed, what was taken and given back, and nothing of the shop’s', async () => {
    const seen = await read(declinedThenPaid, { 'x-order-token': declinedThenPaid.token })
    expect(seen).toMatchObject({
      status: 'captured',
      captured: { amountMinor: 1999 },
      refunded: { amountMinor: 500 },
      attempts: [
        { status: 'declined', decline: { code: 'card-declined', message: expect.any(String), retryable: true } },
        { status: 'succeeded' },
      ],
      refunds: [{ amount: { amountMinor: 500 }, status: 'succeeded' }],
    })
    for (const name of STAFF_ONLY) expect(seen).not.toHaveProperty(name)
    expect((await at.shop.send('GET', `/v1/payments/${disputed.id}`, undefined, customer)).status).toBe(404)
  })

  test('to finance: with its provider, webhooks and entries', async () => {
    const seen = await read(declinedThenPaid, finance)
    expect(seen).toMatchObject({
      provider: 'sandbox',
      providerPaymentId: expect.stringMatching(/^sbx_/),
      reviewReason: null,
      disputes: [],
      surplusRefunds: [],
      ledger: [
        { kind: 'capture', debit: 'provider:sandbox', credit: 'sales', amount: { amountMinor: 1999, currency: 'USD' } },
        { kind: 'refund', debit: 'sales', credit: 'provider:sandbox', amount: { amountMinor: 500, currency: 'USD' } },
      ],
    })
    expect(seen.webhooks.length).toBeGreaterThan(1)
    const { body: listed } = await at.shop.send(
      'GET',
      `/v1/payments/webhooks?payment=${declinedThenPaid.id}`,
      undefined,
      finance,
    )
    expect(seen.webhooks).toEqual(
      listed.data.map(({ id, type, receivedAt }: Record<string, unknown>) => ({ id, type, receivedAt })),
    )
    const { body: entries } = await at.shop.send(
      'GET',
      `/v1/ledger?paymentId=${declinedThenPaid.id}`,
      undefined,
      finance,
    )
    expect(seen.ledger).toEqual(entries.data.toReversed())
  })

  test('to support: without webhooks and entries, which need permissions of their own', async () => {
    const seen = await read(declinedThenPaid, support)
    expect(seen).toMatchObject({ provider: 'sandbox', webhooks: null, ledger: null })
  })

  test('money that was taken twice, that does not fit, that a bank wants back', async () => {
    expect(await read(paidTwice, finance)).toMatchObject({
      refunds: [],
      surplusRefunds: [{ provider: 'sandbox', status: 'succeeded', amount: { amountMinor: 1999, currency: 'USD' } }],
    })
    expect(await read(reviewed, finance)).toMatchObject({
      status: 'review',
      reviewReason: expect.stringContaining('2000'),
      reviews: [{ provider: 'sandbox', taken: { amountMinor: 2000, currency: 'USD' }, decision: null }],
    })
    expect(await read(disputed, finance)).toMatchObject({
      disputes: [{ providerDisputeId: 'dp_1', reason: 'fraudulent', status: 'open', endedAt: null }],
    })
  })

  test('costs the buyer one statement and staff two, whatever is known of it', async () => {
    const { statements } = at.shop.app.database
    const costOf = async (headers: Headers) => {
      const before = statements()
      await read(declinedThenPaid, headers)
      return statements() - before
    }
    expect(await costOf({ 'x-order-token': declinedThenPaid.token })).toBe(1)
    const before = statements()
    await at.shop.send('GET', '/v1/payments/pay_01jd2zq8k5e6v9w3x7y2m4n6p8', undefined, finance)
    const asking = statements() - before
    expect(await costOf(finance)).toBe(asking + 1)
  })
})

describe('the list of payments', () => {
  const list = async (query: string, headers = finance) =>
    at.shop.send('GET', `/v1/payments?${query}`, undefined, headers)
  const idsOf = async (query: string) => (await list(query)).body.data.map(({ id }: { id: string }) => id)

  test('the newest first, in pages, narrowed to what waits for a person', async () => {
    const all = [disputed, reviewed, paidTwice, declinedThenPaid].map(({ id }) => id)
    expect(await idsOf('limit=100')).toEqual(all)
    expect(await idsOf('review=true')).toEqual([reviewed.id])
    expect(await idsOf('disputed=true')).toEqual([disputed.id])
    expect(await idsOf('disputed=false&review=false')).toEqual([paidTwice.id, declinedThenPaid.id])
    expect(await idsOf('status=review')).toEqual([reviewed.id])
    expect(await idsOf(`orderId=${paidTwice.orderId}`)).toEqual([paidTwice.id])
    const paged: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body } = await list(`limit=1${cursor && `&cursor=${cursor}`}`)
      paged.push(...body.data.map(({ id }: { id: string }) => id))
      cursor = body.nextCursor
    }
    expect(paged).toEqual(all)
    expect((await list('status=review')).body.data).toMatchObject([
      { orderNumber: '1001', amount: { amountMinor: 1999 }, captured: { amountMinor: 0 }, disputed: false },
    ])
  })

  test('is for those who see all payments', async () => {
    expect((await list('', support)).status).toBe(200)
    expect((await list('', customer)).status).toBe(403)
    expect([400, 422]).toContain((await list('status=odd')).status)
    expect((await list('cursor=x')).status).toBe(400)
  })
})

test('what waits is counted: reviews, disputes, authorisations that lapse within a day', async () => {
  const lapsing = await at.openPayment()
  await at.query(sql`
    update payments.payments set status = 'authorised', authorised_until = now() + interval '23 hours' where id = ${lapsing.id}`)
  const { text } = await at.shop.send('GET', '/metrics')
  for (const line of ['in_review 1', 'open_disputes 1', 'lapsing_authorisations 1'])
    expect(text).toContain(`\nstoa_payments_${line}\n`)
})

test('the page where a buyer approves is for the buyer alone', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_requires_action')
  const nextOf = ({ attempts }: { attempts: { nextAction?: object }[] }) => attempts.map(({ nextAction }) => nextAction)
  expect(nextOf(await read(payment, { 'x-order-token': payment.token }))).toEqual([
    { type: 'redirect', url: expect.any(String) },
  ])
  expect(nextOf(await read(payment, support))).toEqual([{ type: 'redirect' }])
})
