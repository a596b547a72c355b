import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { freePort } from '../../kit/free-port.ts'
import { type PayableShop, payableShop } from './shop.ts'

/** A shop whose provider cannot be connected to: whatever is asked about there stays as it is. */
let at: PayableShop
beforeAll(async () => {
  at = await payableShop({}, { SANDBOX_URL: `http://127.0.0.1:${await freePort()}` })
})
afterAll(() => at.close())

const MORE_THAN_A_BATCH = 120

test('asks about everything that is past its lease, however much it is, once until the next lease is over', async () => {
  enableFailpoints('payment.before-call=error')
  for (let i = 0; i < MORE_THAN_A_BATCH; i += 1)
    expect((await at.attempt(await at.openPayment(), 'tok_ok')).status).toBe(500)
  enableFailpoints('')
  at.shop.clock.advance(1)
  await at.shop.app.settle()
  const asked = sql<{ asked: number; times: number }>`
    select asked::int, count(*)::int as times from payments.attempts group by asked`
  expect(await at.query(asked)).toEqual([{ asked: 1, times: MORE_THAN_A_BATCH }])
  await at.shop.app.settle()
  expect(await at.query(asked)).toEqual([{ asked: 1, times: MORE_THAN_A_BATCH }])
})
