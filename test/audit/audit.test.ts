import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '#platform/db/pool.ts'
import { auditShop } from '../../src/cli/audit.ts'
import { fillCart, pay, placeOrder, waitForOrder } from '../kit/buyer.ts'
import { type OpenShop, openShop } from '../kit/open-shop.ts'

/** A shop with a history: paid, shipped, refunded, cancelled and pending orders, an adjustment, and staff at work. */
let shop: OpenShop
let owner: ReturnType<typeof openDatabase>
beforeAll(async () => {
  shop = await openShop()
  owner = openDatabase({ url: shop.ownerUrl, maxConnections: 2, connectTimeoutMs: 5_000, onIdleError: () => {} })
  const variantId = await shop.aProduct('mug', { units: 100, priceMinor: 1999 })
  const staff = await shop.asOwner()
  await shop.send(
    'POST',
    '/v1/inventory/adjustments',
    { variantId, location: 'main', change: 5, reason: 'found' },
    staff,
  )
  const order = async () =>
    (await placeOrder(shop.url, (await fillCart(shop.url, [{ variantId, quantity: 2 }])) as never)).body
  const paid = async () => {
    const placed = await order()
    await pay(shop.url, placed)
    await waitForOrder(shop.url, placed, ['paid'])
    return placed
  }
  await order()
  await paid()
  const shipped = await paid()
  await shop.send('PATCH', `/v1/orders/${shipped.id}/status`, { status: 'shipped' }, staff)
  const partly = await paid()
  const lines = [{ itemId: partly.items[0].id, quantity: 1 }]
  await shop.send('POST', `/v1/orders/${partly.id}/shipments`, { lines }, staff)
  shop.clock.advance(1 / 60)
  const back = { lines: [{ ...lines[0], restock: true }], reason: 'too small' }
  await shop.send('POST', `/v1/orders/${partly.id}/returns`, back, staff)
  const refunded = await paid()
  await shop.send(
    'POST',
    `/v1/payments/${refunded.payment.id}/refunds`,
    { amount: { amountMinor: 100, currency: 'USD' }, reason: 'late' },
    staff,
  )
  const byLines = [{ itemId: refunded.items[0].id, quantity: 1, restock: true }]
  await shop.send(
    'POST',
    `/v1/payments/${refunded.payment.id}/refunds`,
    { lines: byLines, shipping: { amount: { amountMinor: 100, currency: 'USD' } }, reason: 'broken' },
    staff,
  )
  const cancelled = await order()
  await shop.send(
    'POST',
    `/v1/orders/${cancelled.id}/cancellation`,
    { reason: 'changed my mind', restock: true },
    { 'x-order-token': cancelled.token },
  )
  await shop.app.settle()
}, 60_000)
afterAll(async () => {
  await owner.close()
  await shop.close()
})

const broken = async () => {
  const findings = await auditShop(shop.app, true)
  return findings.filter(({ violations }) => violations.length > 0).map(({ id }) => id)
}

test('an honest history passes every oracle', async () => {
  await shop.app.settle()
  const findings = await auditShop(shop.app, true)
  expect(
    findings.flatMap(({ id, claim, violations }) => violations.map((violation) => ({ id, claim, ...violation }))),
  ).toEqual([])
  expect(new Set(findings.map(({ id }) => id))).toEqual(
    new Set(['O1', 'O2', 'O4', 'O5', 'O6', 'O7', 'O8', 'O9', 'O10', 'O12', 'O13', 'O15']),
  )
})

test('money taken for an order that is not paid is a number in /metrics, and 0 otherwise', async () => {
  const number = async () => /^stoa_paid_without_order (\d+)$/m.exec((await shop.send('GET', '/metrics')).text)?.[1]
  const shipped = "from orders.orders where status = 'shipped'"
  shop.clock.advance(1)
  expect(await number()).toBe('0')
  await run(
    `create table public.kept as select id ${shipped}; update orders.orders set status = 'cancelled' where status = 'shipped'`,
  )
  const planted = await number()
  await run(
    "update orders.orders set status = 'shipped' where id in (select id from public.kept); drop table public.kept",
  )
  expect(planted).toBe('1')
  shop.clock.advance(-1)
})

/** What is planted, as the tables' owner and past their constraints; the oracles that must fire, and what heals it. */
const plants: [string, string, string, string][] = [
  [
    'O1',
    'a counter that lost a held unit',
    'update catalog.stock set held = held - 1',
    'update catalog.stock set held = held + 1',
  ],
  [
    'O1',
    'stock that appeared from nowhere',
    'update catalog.stock set on_hand = on_hand + 1',
    'update catalog.stock set on_hand = on_hand - 1',
  ],
  [
    'O1',
    'more committed than is there',
    'alter table catalog.stock drop constraint stock_not_oversold; update catalog.stock set committed = committed + 1000',
    'update catalog.stock set committed = committed - 1000',
  ],
  [
    'O1',
    'an order whose hold vanished',
    `create table public.kept as select * from catalog.holds where held > 0; delete from catalog.holds where held > 0`,
    'insert into catalog.holds select * from public.kept; drop table public.kept',
  ],
  [
    'O2',
    'a line that sells more than there ever was',
    "update orders.order_lines set quantity = quantity + 1000 where order_id in (select id from orders.orders where status = 'paid')",
    "update orders.order_lines set quantity = quantity - 1000 where order_id in (select id from orders.orders where status = 'paid')",
  ],
  [
    'O4',
    'a refund that the payment does not know',
    'update payments.payments set refunded_minor = refunded_minor + 7 where captured_minor > refunded_minor + 7',
    'update payments.payments set refunded_minor = refunded_minor - 7 where refunded_minor >= 7 and captured_minor > refunded_minor',
  ],
  [
    'O4',
    'a unit that counts as refunded, and no refund of it',
    'update orders.order_lines set refunded_units = 1 where refunded_units = 0',
    'update orders.order_lines set refunded_units = 0 where id not in (select item_id from orders.refund_lines where item_id is not null)',
  ],
  [
    'O4',
    'a refund by lines of which a part was lost',
    'update orders.refund_lines set amount_minor = amount_minor - 1 where item_id is null',
    'update orders.refund_lines set amount_minor = amount_minor + 1 where item_id is null',
  ],
  [
    'O4',
    'a capture that was not booked',
    'alter table payments.ledger disable trigger ledger_append_only; create table public.kept as select * from payments.ledger order by id limit 1; delete from payments.ledger where id in (select id from public.kept)',
    'insert into payments.ledger overriding system value select * from public.kept; drop table public.kept; alter table payments.ledger enable trigger ledger_append_only',
  ],
  [
    'O5',
    'money that the provider never took',
    'update payments.captures set amount_minor = amount_minor - 1',
    'update payments.captures set amount_minor = amount_minor + 1',
  ],
  [
    'O6',
    'one cart with two living orders',
    "drop index orders.orders_cart; update orders.orders set cart_id = (select min(cart_id) from orders.orders where status = 'paid') where status = 'pending'",
    "update orders.orders set cart_id = 'cart_01jd2zq8k5e6v9w3x7y2m4n6p8' where status = 'pending'",
  ],
  [
    'O7',
    'money taken for an order that expired',
    "update orders.orders set status = 'expired' where status = 'shipped'",
    "update orders.orders set status = 'shipped' where status = 'expired'",
  ],
  [
    'O8',
    'an event of a change that never was',
    "insert into platform.events (type, subject, data, request_id, occurred_at, published_at) select 'orders.shipped.v1', id, '{}', 'planted', now(), now() from orders.orders where status = 'pending' limit 1",
    "delete from platform.events where request_id = 'planted'",
  ],
  [
    'O8',
    'a change that told nobody',
    "create table public.kept as select * from platform.events where type = 'orders.shipped.v1'; delete from platform.events where id in (select id from public.kept)",
    'insert into platform.events overriding system value select * from public.kept; drop table public.kept',
  ],
  [
    'O8',
    'an event that nobody published',
    "update platform.events set published_at = null where type = 'orders.shipped.v1'",
    "update platform.events set published_at = occurred_at where type = 'orders.shipped.v1'",
  ],
  [
    'O8',
    'a consumer that missed an event',
    "create table public.kept as select * from platform.consumed where consumer = 'orders.mark-paid'; delete from platform.consumed where consumer = 'orders.mark-paid'",
    'insert into platform.consumed select * from public.kept; drop table public.kept',
  ],
  [
    'O9',
    'an order that was paid twice',
    "insert into orders.timeline (order_id, at, kind, from_status, to_status, actor_kind) select id, now(), 'planted', 'paid', 'paid', 'system' from orders.orders where status = 'paid' limit 1",
    "delete from orders.timeline where kind = 'planted'",
  ],
  [
    'O10',
    'an attempt that is stuck',
    "insert into payments.attempts (id, payment_id, key_hash, request_hash, provider, status, lease_until, created_at) select 'att_planted', id, sha256('a'), sha256('b'), 'sandbox', 'created', now() - interval '1 hour', now() - interval '2 hours' from payments.payments where status = 'open' limit 1",
    "delete from payments.attempts where id = 'att_planted'",
  ],
  [
    'O12',
    'a history that skips a step',
    "insert into orders.timeline (order_id, at, kind, from_status, to_status, actor_kind) select id, now(), 'planted', 'pending', 'delivered', 'system' from orders.orders where status = 'pending' limit 1",
    "delete from orders.timeline where kind = 'planted'",
  ],
  [
    'O13',
    'a session with two live refresh tokens',
    "drop index users.refresh_tokens_live; insert into users.refresh_tokens (hash, session_id, created_at, expires_at) select sha256('planted'), session_id, created_at, expires_at from users.refresh_tokens where used_at is null limit 1",
    "delete from users.refresh_tokens where hash = sha256('planted'); create unique index refresh_tokens_live on users.refresh_tokens (session_id) where used_at is null",
  ],
  [
    'O13',
    'a live refresh token of a session that was revoked',
    "update users.sessions set revoked_at = now(), revoked_for = 'logout'",
    'update users.sessions set revoked_at = null, revoked_for = null',
  ],
  [
    'O15',
    'an adjustment by staff without an audit row',
    'create table public.kept as select * from platform.audit_log; delete from platform.audit_log',
    'insert into platform.audit_log overriding system value select * from public.kept; drop table public.kept',
  ],
]

describe('each oracle fires on a planted violation, and is quiet again when it is gone', () => {
  beforeEach(async () => expect(await broken()).toEqual([]))
  test.each(plants)('%s: %s', async (id, _what, plant, heal) => {
    await run(plant)
    const fired = await broken()
    await run(heal)
    expect(fired).toContain(id)
    expect(await broken()).toEqual([])
  })
})

async function run(statements: string): Promise<void> {
  for (const statement of statements.split('; ')) await sql.raw(statement).execute(owner.db)
}
