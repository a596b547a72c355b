import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { claimInbox } from '../../../src/contexts/payments/infrastructure/inbox-store.ts'
import type { Webhook } from '../../kit/inbox.ts'
import { type Opened, type PayableShop, payableShop } from './shop.ts'

let at: PayableShop
beforeAll(async () => {
  at = await payableShop()
})
afterAll(() => at.close())

const eventsOf = async ({ id }: Opened) =>
  (await at.query(sql<{ type: string }>`select type from platform.events where subject = ${id} order by id`)).map(
    ({ type }) => type,
  )
const inboxOf = (webhook: Webhook) =>
  at.query(sql<{ done: boolean; parked: boolean; last_error: string | null }>`
    select done_at is not null as done, parked_at is not null as parked, last_error
    from payments.inbox where event_id = ${JSON.parse(webhook.body.toString()).id}`)
const typeOf = ({ body }: Webhook): string => JSON.parse(body.toString()).type

/** A payment that was made at the provider while we heard nothing of it. */
async function madeUnheard(payment: Opened, more: object = {}): Promise<string> {
  const wanted = { reference: payment.id, amount: 1999, currency: 'USD', token: 'tok_ok', ...more }
  return (await at.atProvider('/v1/payments', wanted)).id
}

/** A webhook of our own making, signed with the shop's secret. */
function signed(body: string, { secret = at.shop.app.config.sandboxWebhookSecret, ageSeconds = 0 } = {}): Webhook {
  const t = Math.floor(at.shop.clock.now.getTime() / 1000) - ageSeconds
  const v1 = createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')
  return { headers: { 'sandbox-signature': `t=${t},v1=${v1}` }, body: Buffer.from(body) }
}

test('a webhook alone pays a payment; sent twenty times at once it does so once', async () => {
  const payment = await at.openPayment()
  await madeUnheard(payment)
  const [webhook] = (await at.webhooks(payment, 1)) as [Webhook]
  const answers = await at.hand(...Array.from({ length: 20 }, () => webhook))
  expect(new Set(answers)).toEqual(new Set([204]))
  expect(await inboxOf(webhook)).toHaveLength(1)
  await Promise.all([at.shop.app.settle(), at.shop.app.settle(), at.shop.app.settle()])
  expect((await at.read(payment)).status).toBe('captured')
  expect(await eventsOf(payment)).toEqual(['payments.captured.v1'])
  expect(await inboxOf(webhook)).toEqual([{ done: true, parked: false, last_error: null }])
})

test('one round trip takes a webhook', async () => {
  const payment = await at.openPayment()
  await madeUnheard(payment)
  const webhooks = await at.webhooks(payment, 1)
  // Other processes are told of events 50 ms after a commit, which would be counted here.
  await pause(100)
  const before = at.shop.app.database.statements()
  await at.hand(...webhooks)
  expect(at.shop.app.database.statements() - before).toBe(1)
})

test('a payment that is already in the books costs no question to the provider', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_ok')
  const webhooks = await at.webhooks(payment, 1)
  await at.hand(...webhooks)
  const { database, settle } = at.shop.app
  await settle()
  expect(await inboxOf(webhooks[0] as Webhook)).toMatchObject([{ done: true }])
  const unheard = await at.openPayment()
  await madeUnheard(unheard)
  await at.query(sql`update payments.inbox set due_at = received_at, done_at = null
    where event_id = ${JSON.parse((webhooks[0] as Webhook).body.toString()).id}`)
  await at.hand(...(await at.webhooks(unheard, 1)))
  const { events, claimed } = await claimInbox(database.db, at.shop.clock.now)
  expect(claimed).toBe(2)
  expect(events).toHaveLength(1)
  expect(await eventsOf(payment)).toEqual(['payments.captured.v1'])
})

const permutations = <Item>(items: readonly Item[]): Item[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]))

test.each([
  ['settled one by one', true],
  ['settled together', false],
])('every order of failed, requires action, succeeded and a duplicate ends the same: %s', async (_how, oneByOne) => {
  const payments = await Promise.all(
    permutations([0, 1, 2, 3]).map(async (order) => ({ order, payment: await at.openPayment() })),
  )
  const webhooks = await Promise.all(
    payments.map(async ({ order, payment }) => {
      const id = await madeUnheard(payment, { token: 'tok_declined' })
      await at.atProvider(`/v1/payments/${id}/confirm`, { token: 'tok_requires_action' })
      await fetch(`${at.sandbox.url}/pay/${id}/approve`, { method: 'POST', redirect: 'manual' })
      const sent = await at.webhooks(payment, 3)
      expect(sent.map(typeOf).sort()).toEqual(['payment.failed', 'payment.requires_action', 'payment.succeeded'])
      const succeeded = sent.find((webhook) => typeOf(webhook) === 'payment.succeeded') as Webhook
      return order.map((place) => [...sent, succeeded][place] as Webhook)
    }),
  )
  for (let step = 0; step < 4; step += 1) {
    await at.hand(...webhooks.map((order) => order[step] as Webhook))
    if (oneByOne) await at.shop.app.settle()
  }
  await at.shop.app.settle()
  for (const { payment } of payments) {
    expect(await at.read(payment)).toMatchObject({ status: 'captured', captured: { amountMinor: 1999 } })
    expect(await eventsOf(payment)).toEqual(['payments.captured.v1'])
  }
  for (const webhook of webhooks.flat())
    expect(await inboxOf(webhook)).toMatchObject([{ done: true, last_error: null }])
})

test('the buyer approves: the webhook ends the attempt', async () => {
  const payment = await at.openPayment()
  const waiting = await at.attempt(payment, 'tok_requires_action')
  expect(waiting.body).toMatchObject({ status: 'requiresAction', nextAction: { type: 'redirect' } })
  expect(await (await fetch(waiting.body.nextAction.url)).text()).toContain('Approve')
  await fetch(`${waiting.body.nextAction.url}/approve`, { method: 'POST', redirect: 'manual' })
  await at.hand(...(await at.webhooks(payment, 2)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'captured', attempts: [{ status: 'succeeded' }] })
})

test('the buyer refuses: the attempt is declined, and another one pays', async () => {
  const payment = await at.openPayment()
  const waiting = await at.attempt(payment, 'tok_requires_action')
  await fetch(`${waiting.body.nextAction.url}/refuse`, { method: 'POST', redirect: 'manual' })
  await at.hand(...(await at.webhooks(payment, 2)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({
    status: 'open',
    attempts: [{ status: 'declined', decline: { code: 'authentication-failed', retryable: true } }],
  })
  expect((await at.attempt(payment, 'tok_ok')).body.status).toBe('succeeded')
})

test('what the provider processes is captured by its webhook, or by asking when that never comes', async () => {
  const [told, asked] = [await at.openPayment(), await at.openPayment()]
  for (const payment of [told, asked])
    expect((await at.attempt(payment, 'tok_processing')).body.status).toBe('processing')
  await at.webhooks(asked, 2)
  await at.hand(...(await at.webhooks(told, 2)))
  await at.shop.app.settle()
  expect((await at.read(told)).status).toBe('captured')
  expect((await at.read(asked)).status).toBe('open')
  at.shop.clock.advance(1)
  await at.shop.app.settle()
  expect((await at.read(asked)).status).toBe('captured')
})

test.each([
  ['no signature', () => ({ headers: {}, body: Buffer.from('{}') })],
  ['a wrong secret', (body: string) => signed(body, { secret: 'wrong' })],
  ['an old signature', (body: string) => signed(body, { ageSeconds: 301 })],
  ['one from the future', (body: string) => signed(body, { ageSeconds: -120 })],
  ['another body', (body: string) => ({ ...signed(body), body: Buffer.from(`${body} `) })],
  ['no event at all', () => signed('[1]')],
  ['an event about nothing', () => signed('{"id":"evt_1","type":"payment.succeeded","createdAt":"","data":{}}')],
])('refuses a webhook with %s: 400, nothing stored', async (_what, make) => {
  const count = () => at.query(sql<{ n: number }>`select count(*)::int as n from payments.inbox`)
  const before = await count()
  const body = '{"id":"evt_x","type":"payment.succeeded","createdAt":"","data":{"payment":{"id":"sbx_pay_x"}}}'
  expect(await at.hand(make(body) as Webhook)).toEqual([400])
  expect(await count()).toEqual(before)
})

test('a webhook for a provider that is not there is 404, whatever it carries', async () => {
  for (const payload of ['{}', 'not json', ''])
    expect(
      await at.shop.app.http.inject({
        method: 'POST',
        url: '/v1/payments/webhook/gold',
        payload,
        headers: { 'content-type': 'application/json' },
      }),
    ).toMatchObject({ statusCode: 404 })
})

test('types that we do not know are stored and acknowledged', async () => {
  const webhook = signed(
    '{"id":"evt_unknown","type":"balance.available","createdAt":"","data":{"balance":{"amount":1}}}',
  )
  expect(await at.hand(webhook)).toEqual([204])
  expect(await inboxOf(webhook)).toEqual([{ done: true, parked: false, last_error: null }])
})

test.each([
  ['another amount', { amount: 2000 }],
  ['less', { amount: 100 }],
  ['another currency', { currency: 'EUR' }],
])('a genuine event with %s holds the payment for review and moves nothing', async (_what, more) => {
  const payment = await at.openPayment()
  await madeUnheard(payment, more)
  await at.hand(...(await at.webhooks(payment, 1)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({ status: 'review', captured: { amountMinor: 0 } })
  expect(await eventsOf(payment)).toEqual(['payments.held-for-review.v1'])
  expect(await at.query(sql`select 1 from payments.ledger where payment_id = ${payment.id}`)).toEqual([])
  expect(await at.attempt(payment, 'tok_ok')).toMatchObject({ status: 409, body: { code: 'payments.in-review' } })
})

test('a genuine event of no payment of ours is parked, visibly, and stops nothing', async () => {
  const stranger = { ...(await at.openPayment()), id: 'pay_of_another_shop' } as unknown as Opened
  await madeUnheard(stranger)
  const payment = await at.openPayment()
  await madeUnheard(payment)
  const webhooks = [...(await at.webhooks(stranger, 1)), ...(await at.webhooks(payment, 1))]
  await at.hand(...webhooks)
  await at.shop.app.settle()
  expect((await at.read(payment)).status).toBe('captured')
  for (const minutes of [1, 1, 1, 2, 6, 20, 70]) {
    at.shop.clock.advance(minutes)
    await at.shop.app.settle()
  }
  expect(await inboxOf(webhooks[0] as Webhook)).toMatchObject([
    { done: false, parked: true, last_error: 'There is no payment pay_of_another_shop.' },
  ])
  at.shop.clock.now = new Date()
})

test('a second payment for one order goes back by itself, and the order is paid once', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_ok')
  await madeUnheard(payment)
  await at.hand(...(await at.webhooks(payment, 2)))
  await at.shop.app.settle()
  expect(await at.read(payment)).toMatchObject({
    status: 'captured',
    captured: { amountMinor: 1999 },
    refunded: { amountMinor: 0 },
  })
  const held = at.sandbox.ledger().payments.filter(({ reference }) => reference === payment.id)
  // What is told of the second one again, by its refund's webhook too, brings nothing new and fails nothing.
  const told = (await at.webhooks(payment, 3)).slice(2)
  await at.hand(...told)
  await at.shop.app.settle()
  expect(await inboxOf(told[0] as Webhook)).toMatchObject([{ done: true, last_error: null }])
  expect(held.map(({ amountRefunded }) => amountRefunded).sort()).toEqual([0, 1999])
  expect(await eventsOf(payment)).toEqual(['payments.captured.v1', 'payments.surplus-refunded.v1'])
  const balance = await at.query(sql<{ account: string; minor: number }>`
    select account, sum(minor)::int as minor from (
      select debit as account, amount_minor as minor from payments.ledger where payment_id = ${payment.id}
      union all select credit, -amount_minor from payments.ledger where payment_id = ${payment.id}) as sides
    group by account order by account`)
  expect(balance).toEqual([
    { account: 'provider:sandbox', minor: 1999 },
    { account: 'sales', minor: -1999 },
    { account: 'surplus', minor: 0 },
  ])
})

test('money that lands after the payment was closed is taken note of', async () => {
  const payment = await at.openPayment()
  at.shop.clock.advance(16)
  await at.shop.app.perform(
    { actor: { kind: 'system', userId: null, address: null, permissions: new Set() }, requestId: 'test' },
    (work) => at.shop.app.contexts.payments.closePayments(work, [payment.id], 'expired'),
  )
  at.shop.clock.now = new Date()
  await madeUnheard(payment)
  await at.hand(...(await at.webhooks(payment, 1)))
  await at.shop.app.settle()
  expect((await at.read(payment)).status).toBe('captured')
  expect(await eventsOf(payment)).toEqual(['payments.cancelled.v1', 'payments.captured.v1'])
})
