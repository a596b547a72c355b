import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditShop } from '../../../src/cli/audit.ts'
import { type Opened, type PayableShop, payableShop } from './shop.ts'

/** P5, O5: what no webhook told is found by comparing, and healed where that is safe. */
let at: PayableShop
beforeAll(async () => {
  at = await payableShop()
})
afterAll(() => at.close())

const reconcile = () =>
  at.shop.app.contexts.payments.reconcilePayments({
    from: new Date(Date.now() - 3_600_000),
    before: new Date(Date.now() + 3_600_000),
  })
const payThere = ({ id }: Opened, amount = 1999) =>
  at.atProvider('/v1/payments', { reference: id, amount, currency: 'USD', token: 'tok_ok' })

test('a payment and a refund that nobody told us are booked; then nothing differs', async () => {
  const unheard = await at.openPayment()
  await payThere(unheard)
  const paid = await at.openPayment()
  await at.attempt(paid, 'tok_ok')
  const [there] = at.sandbox.ledger().payments.filter(({ reference }) => reference === paid.id)
  await at.atProvider(`/v1/payments/${there?.id}/refunds`, { amount: 500 })

  const first = await reconcile()
  expect(first).toMatchObject({ compared: 2, open: [] })
  expect(first.healed.map(({ subject }) => subject).sort()).toEqual([unheard.id, paid.id].sort())
  expect(await at.read(unheard)).toMatchObject({ status: 'captured', captured: { amountMinor: 1999 } })
  expect(await at.read(paid)).toMatchObject({ status: 'captured', refunded: { amountMinor: 500 } })
  expect(await reconcile()).toMatchObject({ compared: 2, healed: [], open: [] })
  const noted = await at.query(sql`select compared from payments.reconciliations`)
  expect(noted).toHaveLength(2)
  const money = (await auditShop(at.shop.app, true)).filter(({ id }) => ['O4', 'O5', 'O6'].includes(id))
  expect(money.flatMap(({ violations }) => violations)).toEqual([])
})

test('what is open there and cancelled here is cancelled there', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'tok_declined')
  await at.query(sql`
    update payments.payments set status = 'cancelled', closing_reason = 'expired', closing_since = now() where id = ${payment.id}`)
  expect(await reconcile()).toMatchObject({ healed: [{ subject: payment.id }], open: [] })
  const [there] = at.sandbox.ledger().payments.filter(({ reference }) => reference === payment.id)
  expect(there?.status).toBe('cancelled')
})

test('money that does not fit is left to a person, and shows in /metrics; strangers of the same account do not', async () => {
  const payment = await at.openPayment()
  await payThere(payment, 100)
  await at.atProvider('/v1/payments', { reference: 'another-shop', amount: 700, currency: 'USD', token: 'tok_ok' })
  const { healed, open } = await reconcile()
  expect(healed).toEqual([])
  expect(open).toMatchObject([{ subject: payment.id, detail: expect.stringContaining('took 100') }])
  expect(await at.read(payment)).toMatchObject({ status: 'review', captured: { amountMinor: 0 } })
  expect((await at.shop.send('GET', '/metrics')).text).toMatch(/^stoa_payments_unreconciled 1$/m)
})
