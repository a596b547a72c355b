import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import { newId } from '#platform/ids.ts'
import { openAttempt } from '../../../src/contexts/payments/infrastructure/attempt-store.ts'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { areWaiting } from '../../kit/locks.ts'
import { type Opened, type PayableShop, payableShop } from './shop.ts'

let at: PayableShop
beforeAll(async () => {
  at = await payableShop()
})
afterAll(() => at.close())
afterEach(() => enableFailpoints(''))

const heldBy = ({ id }: Opened) => at.sandbox.ledger().payments.filter(({ reference }) => reference === id)
const eventsOf = async ({ id }: Opened) =>
  (await at.query(sql<{ type: string }>`select type from platform.events where subject = ${id} order by id`)).map(
    ({ type }) => type,
  )
const ledgerOf = ({ id }: Opened) =>
  at.query(
    sql<object>`select kind, debit, credit, amount_minor, currency from payments.ledger where payment_id = ${id} order by id`,
  )

test('a payment is made: attempt, capture, ledger entry and event, once', async () => {
  const payment = await at.openPayment()
  const made = await at.attempt(payment, 'tok_ok')
  expect(made.status).toBe(201)
  expect(made.headers.location).toBe(`/v1/payments/${payment.id}`)
  expect(made.body).toMatchObject({ paymentId: payment.id, status: 'succeeded' })
  expect(await at.read(payment)).toMatchObject({
    id: payment.id,
    orderId: payment.orderId,
    status: 'captured',
    amount: { amountMinor: 1999, currency: 'USD' },
    captured: { amountMinor: 1999, currency: 'USD' },
    refunded: { amountMinor: 0, currency: 'USD' },
    attempts: [{ id: made.body.id, status: 'succeeded' }],
    refunds: [],
  })
  expect(await ledgerOf(payment)).toEqual([
    { kind: 'capture', debit: 'provider:sandbox', credit: 'sales', amount_minor: 1999, currency: 'USD' },
  ])
  expect(await eventsOf(payment)).toEqual(['payments.captured.v1'])
  expect(await at.attempt(payment, 'tok_ok')).toMatchObject({
    status: 409,
    body: { code: 'payments.already-captured' },
  })
})

test('the same key gets the same bytes, with another body 422', async () => {
  const payment = await at.openPayment()
  const key = { 'idempotency-key': 'once' }
  const first = await at.attempt(payment, 'tok_declined', key)
  const again = await at.attempt(payment, 'tok_declined', key)
  expect(first).toMatchObject({
    status: 201,
    body: { status: 'declined', decline: { code: 'card-declined', retryable: true } },
  })
  expect(again).toMatchObject({ status: 201, text: first.text, headers: { 'idempotent-replayed': 'true' } })
  expect(await at.attempt(payment, 'tok_ok', key)).toMatchObject({
    status: 422,
    body: { code: 'platform.idempotency-key-reused' },
  })
  const [{ sealed }] = (await at.query(
    sql<{ sealed: Buffer }>`select sealed_answer as sealed from payments.attempts where payment_id = ${payment.id}`,
  )) as [{ sealed: Buffer }]
  expect(sealed.includes('declined')).toBe(false)
})

test('a declined payment stays open and is paid by the next attempt, on the same object at the provider', async () => {
  const payment = await at.openPayment()
  expect((await at.attempt(payment, 'tok_declined')).body.status).toBe('declined')
  expect((await at.attempt(payment, 'tok_ok')).body.status).toBe('succeeded')
  expect(heldBy(payment)).toHaveLength(1)
  expect(await eventsOf(payment)).toEqual(['payments.declined.v1', 'payments.captured.v1'])
  expect((await at.read(payment)).attempts.map(({ status }: { status: string }) => status)).toEqual([
    'declined',
    'succeeded',
  ])
})

test('fifty requests with one key at once make one provider payment', async () => {
  const payment = await at.openPayment()
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => at.attempt(payment, 'tok_ok', { 'idempotency-key': 'fifty' })),
  )
  const codes = new Set(answers.map(({ status, body }) => `${status} ${body.code ?? body.status}`))
  expect([...codes].filter((code) => code !== '409 platform.in-progress')).toEqual(['201 succeeded'])
  for (const { status, headers } of answers) if (status === 409) expect(headers['retry-after']).toBe('1')
  expect(heldBy(payment)).toMatchObject([{ amountCaptured: 1999 }])
  const later = await at.attempt(payment, 'tok_ok', { 'idempotency-key': 'fifty' })
  expect(later.text).toBe(answers.find(({ status }) => status === 201)?.text)
})

test('a twin that looked before the attempt was there and comes after it has ended opens nothing', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_declined')
  const [row] = await at.query(
    sql<{ key_hash: Buffer }>`select key_hash from payments.attempts where payment_id = ${payment.id}`,
  )
  const twin = {
    id: newId('att'),
    paymentId: payment.id,
    keyHash: row?.key_hash as Buffer,
    requestHash: Buffer.alloc(32),
    provider: 'sandbox',
    leaseUntil: new Date(),
  }
  const command = { actor: systemActor, requestId: 'test' }
  expect(await at.shop.app.perform.one(command, (single) => openAttempt(single, twin))).toBeUndefined()
  expect((await at.read(payment)).attempts).toHaveLength(1)
})

test('the lease of an attempt begins when it is opened, not before its buyer has left the approval of before', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_requires_action')
  const holder = new pg.Client({ connectionString: at.shop.ownerUrl })
  await holder.connect()
  await holder.query('begin')
  await holder.query('select from payments.payments where id = $1 for update', [payment.id])
  enableFailpoints('payment.before-call=error')
  const key = { 'idempotency-key': 'after-approval' }
  const left = at.attempt(payment, 'tok_ok', key)
  await areWaiting(at.query, 1)
  at.shop.clock.advance(1)
  await holder.end()
  expect((await left).status).toBe(500)
  expect(await at.attempt(payment, 'tok_ok', key)).toMatchObject({
    status: 409,
    body: { code: 'platform.in-progress' },
  })
})

test('of attempts with different keys at once one is live', async () => {
  const payment = await at.openPayment()
  const answers = await Promise.all(Array.from({ length: 10 }, () => at.attempt(payment, 'tok_processing')))
  const made = answers.filter(({ status }) => status === 201)
  expect(made).toHaveLength(1)
  for (const { status, body } of answers)
    if (status !== 201) expect([status, body.code]).toEqual([409, 'payments.attempt-in-progress'])
  expect(heldBy(payment)).toHaveLength(1)
})

test('without the token a payment is one that does not exist', async () => {
  const payment = await at.openPayment()
  const missing = { ...payment, id: newId('pay') }
  const body = { method: 'sandbox', token: 'tok_ok' }
  const same = { 'x-request-id': 'same-request-id' }
  for (const headers of [same, { ...same, 'x-order-token': (await at.openPayment()).token }]) {
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/attempts'],
    ] as const) {
      const send = (id: string) =>
        at.shop.send(method, `/v1/payments/${id}${path}`, method === 'POST' ? body : undefined, headers)
      const foreign = await send(payment.id)
      expect(foreign).toMatchObject({ status: 404, body: { code: 'payments.not-found' } })
      expect(foreign.text).toBe((await send(missing.id)).text)
    }
  }
  expect(heldBy(payment)).toEqual([])
})

test('when the answer is lost, asking brings it back, and nothing is charged twice', async () => {
  const payment = await at.openPayment()
  const key = { 'idempotency-key': 'lost' }
  const lost = await at.attempt(payment, 'tok_timeout', key)
  expect(lost).toMatchObject({ status: 201, body: { status: 'processing' } })
  expect((await at.read(payment)).status).toBe('open')
  expect(await at.attempt(payment, 'tok_ok')).toMatchObject({
    status: 409,
    body: { code: 'payments.attempt-in-progress' },
  })
  at.shop.clock.advance(0.1)
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'captured', attempts: [{ status: 'succeeded' }] })
  expect(heldBy(payment)).toMatchObject([{ amountCaptured: 1999 }])
  expect((await at.attempt(payment, 'tok_timeout', key)).text).toBe(lost.text)
})

test('a provider that fails before any effect: the attempt is declined and can be made again', async () => {
  const payment = await at.openPayment()
  const failed = await at.attempt(payment, 'tok_error')
  expect(failed.body).toMatchObject({ status: 'declined', decline: { code: 'not-received', retryable: true } })
  expect((await at.attempt(payment, 'tok_nonsense')).body).toMatchObject({
    status: 'declined',
    decline: { code: 'invalid-token' },
  })
  expect((await at.attempt(payment, 'tok_ok')).body.status).toBe('succeeded')
})

test.each(['payment.before-call', 'payment.after-call', 'payment.recorded'])(
  'a crash at %s: the same key is answered in the end, and there is one charge',
  async (name) => {
    const payment = await at.openPayment()
    const key = { 'idempotency-key': 'crash' }
    enableFailpoints(`${name}=error`)
    expect((await at.attempt(payment, 'tok_ok', key)).status).toBe(500)
    enableFailpoints('')
    if (name !== 'payment.recorded')
      expect(await at.attempt(payment, 'tok_ok', key)).toMatchObject({
        status: 409,
        body: { code: 'platform.in-progress' },
      })
    at.shop.clock.advance(1)
    const healed = await at.attempt(payment, 'tok_ok', key)
    const reached = name !== 'payment.before-call'
    expect(healed).toMatchObject({
      status: 201,
      body: reached ? { status: 'succeeded' } : { status: 'declined', decline: { code: 'not-received' } },
    })
    expect(await at.attempt(payment, 'tok_ok', key)).toMatchObject({ status: 201, text: healed.text })
    if (!reached) expect((await at.attempt(payment, 'tok_ok')).body.status).toBe('succeeded')
    expect(heldBy(payment)).toMatchObject([{ amountCaptured: 1999 }])
    expect((await at.read(payment)).status).toBe('captured')
  },
)

test('a crash that nobody comes back for is healed by the sweeper', async () => {
  const payment = await at.openPayment()
  enableFailpoints('payment.after-call=error')
  await at.attempt(payment, 'tok_ok')
  enableFailpoints('')
  at.shop.clock.advance(1)
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'captured', attempts: [{ status: 'succeeded' }] })
})

test('an attempt extends the time to pay, up to an hour from the start; after it the hold has expired', async () => {
  const payment = await at.openPayment()
  const opened = at.shop.clock.now
  const until = async () => (new Date((await at.read(payment)).payableUntil).getTime() - opened.getTime()) / 60_000
  expect(await until()).toBe(15)
  for (const [minute, payable] of [
    [10, 25],
    [20, 35],
    [34, 49],
    [48, 60],
    [59, 60],
  ] as const) {
    at.shop.clock.now = new Date(opened.getTime() + minute * 60_000)
    expect((await at.attempt(payment, 'tok_declined')).status).toBe(201)
    expect(await until()).toBe(payable)
  }
  at.shop.clock.now = new Date(opened.getTime() + 60 * 60_000)
  expect(await at.attempt(payment, 'tok_ok')).toMatchObject({ status: 409, body: { code: 'orders.hold-expired' } })
  at.shop.clock.now = new Date()
})

test('an amount below the minimum is refused when the payment is opened', async () => {
  await expect(at.openPayment(49)).rejects.toMatchObject({ code: 'payments.amount-too-small' })
  await expect(at.openPayment(49, 'JPY')).rejects.toMatchObject({ code: 'payments.amount-too-small' })
  expect((await at.attempt(await at.openPayment(50), 'tok_ok')).body.status).toBe('succeeded')
})

test.each([
  ['a missing key', { method: 'sandbox', token: 'tok_ok' }, { 'idempotency-key': '' }, 400],
  ['an unknown method', { method: 'gold', token: 'tok_ok' }, {}, 422],
  ['no token', { method: 'sandbox' }, {}, 400],
  ['an unknown property', { method: 'sandbox', token: 'tok_ok', amount: 1 }, {}, 400],
  ['a return address that is none', { method: 'sandbox', token: 'tok_ok', returnUrl: 'javascript:alert(1)' }, {}, 422],
])('%s is refused', async (_what, body, headers, status) => {
  const { id, token } = await at.openPayment()
  const answer = await at.shop.send('POST', `/v1/payments/${id}/attempts`, body, { 'x-order-token': token, ...headers })
  expect(answer.status).toBe(status)
})

const close = async (payment: Opened, reason: 'expired' | 'cancelled') =>
  (
    await at.shop.app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
      at.shop.app.contexts.payments.closePayments(work, [payment.id], reason),
    )
  ).get(payment.id)

test('closing: an untouched payment at once, a lapsed one at its provider first, a paid one never', async () => {
  const untouched = await at.openPayment()
  expect(await close(untouched, 'expired')).toMatchObject({ outcome: 'busy' })
  at.shop.clock.advance(16)
  expect(await close(untouched, 'expired')).toEqual({ outcome: 'cancelled' })
  expect(await eventsOf(untouched)).toEqual(['payments.cancelled.v1'])
  expect(await at.attempt(untouched, 'tok_ok')).toMatchObject({ status: 409, body: { code: 'orders.hold-expired' } })

  const tried = await at.openPayment()
  await at.attempt(tried, 'tok_declined')
  at.shop.clock.advance(16)
  expect(await close(tried, 'expired')).toMatchObject({ outcome: 'busy' })
  expect(await at.attempt(tried, 'tok_ok')).toMatchObject({ status: 409, body: { code: 'orders.hold-expired' } })
  await at.shop.app.settle()
  expect(heldBy(tried)).toMatchObject([{ status: 'cancelled' }])
  expect(await close(tried, 'expired')).toEqual({ outcome: 'cancelled' })

  const paid = await at.openPayment()
  await at.attempt(paid, 'tok_ok')
  at.shop.clock.advance(16)
  expect(await close(paid, 'expired')).toEqual({ outcome: 'captured' })
  at.shop.clock.now = new Date()
})

test('a person cancels at once, also while a bank waits for approval, but not while one processes; the provider is told after', async () => {
  const tried = await at.openPayment()
  await at.attempt(tried, 'tok_declined')
  expect(await close(tried, 'cancelled')).toEqual({ outcome: 'cancelled' })
  expect(await at.attempt(tried, 'tok_ok')).toMatchObject({ status: 409, body: { code: 'payments.cancelled' } })
  await at.shop.app.settle()
  expect(heldBy(tried)).toMatchObject([{ status: 'cancelled' }])
  const waiting = await at.openPayment()
  await at.attempt(waiting, 'tok_requires_action')
  expect(await close(waiting, 'cancelled')).toEqual({ outcome: 'cancelled' })
  await at.shop.app.settle()
  expect(heldBy(waiting)).toMatchObject([{ status: 'cancelled' }])
  expect(await at.read(waiting)).toMatchObject({ status: 'cancelled', attempts: [{ status: 'cancelled' }] })
  const live = await at.openPayment()
  await at.attempt(live, 'tok_processing')
  expect(await close(live, 'cancelled')).toMatchObject({ outcome: 'busy' })
})

test('round trips: an attempt takes at most eight beside the call', async () => {
  const payment = await at.openPayment()
  // Other processes are told of events 50 ms after a commit, which would be counted here.
  await pause(100)
  const before = at.shop.app.database.statements()
  await at.attempt(payment, 'tok_ok')
  expect(at.shop.app.database.statements() - before).toBeLessThanOrEqual(8)
})

test('the service can neither change nor remove what is in the ledger, nor book one side only', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_ok')
  const denied = { code: '42501' }
  await expect(at.query(sql`update payments.ledger set amount_minor = 1`)).rejects.toMatchObject(denied)
  await expect(at.query(sql`delete from payments.ledger`)).rejects.toMatchObject(denied)
  await expect(at.query(sql`delete from payments.captures`)).rejects.toMatchObject(denied)
  await expect(
    at.query(sql`insert into payments.ledger (payment_id, kind, debit, credit, amount_minor, currency, booked_at)
      values (${payment.id}, 'capture', 'sales', 'sales', 1, 'USD', now())`),
  ).rejects.toMatchObject({ code: '23514' })
})
