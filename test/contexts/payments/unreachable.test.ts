import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../kit/free-port.ts'
import { type PayableShop, payableShop } from './shop.ts'

/** A shop whose provider cannot be connected to. */
let at: PayableShop
beforeAll(async () => {
  at = await payableShop({}, { SANDBOX_URL: `http://127.0.0.1:${await freePort()}`, RATE_LIMITS: 'on' })
})
afterAll(() => at.close())

test('an attempt that was never sent ends at once as a decline that may be tried again, and is kept for its key', async () => {
  const payment = await at.openPayment()
  const key = { 'idempotency-key': 'unsent' }
  const made = await at.attempt(payment, 'tok_ok', key)
  expect(made).toMatchObject({
    status: 201,
    body: {
      status: 'declined',
      decline: {
        code: 'provider-unavailable',
        retryable: true,
        message: expect.stringContaining('Nothing was charged'),
      },
    },
  })
  expect(await at.attempt(payment, 'tok_ok', key)).toMatchObject({ status: 201, text: made.text })
  expect(await at.read(payment)).toMatchObject({ status: 'open', attempts: [{ status: 'declined' }] })
  expect(await at.query(sql`select 1 from payments.attempts where lease_until is not null`)).toEqual([])
})

test('it is no decline to the limits on card testing, and after some of them nothing is tried any more', async () => {
  const payment = await at.openPayment()
  for (let i = 0; i < 15; i += 1) {
    const { status, body } = await at.attempt(payment, 'tok_ok')
    expect([status, body.decline?.code]).toEqual([201, 'provider-unavailable'])
  }
  const { text } = await at.shop.send('GET', '/metrics')
  expect(text).toContain('stoa_outside_breaker{server="sandbox",state="open"} 1')
  expect(text).toMatch(/stoa_outside_call_seconds_count\{server="sandbox",result="refused"\} \d+/)
})
