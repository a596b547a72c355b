import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { request } from 'undici'
import { newId } from '#platform/ids.ts'
import { only } from './carts.ts'
import type { TwinDatabase } from './database.ts'
import { inMinutes } from './orders.ts'
import { statements } from './statements.ts'

export type Sandbox = { readonly url: string; readonly apiKey: string; readonly secret: string }

/** Pays at the sandbox: the intent, the call, and the outcome in a second transaction. */
export async function attempt({ one, transaction }: TwinDatabase, sandbox: Sandbox, paymentId: string, key: string) {
  const keyHash = createHash('sha256').update(key).digest()
  const payment = only(await one(statements.readForAttempt, [keyHash, paymentId]))
  const id = newId('att')
  only(await one(statements.openAttempt, [new Date(), paymentId, id, keyHash, keyHash, inMinutes(0.5)]))
  const charged = await charge(sandbox, payment, id)
  const answer = { id, paymentId, status: 'succeeded' }
  await transaction(async (send) => {
    const now = new Date()
    await send(statements.lockPayment, [[paymentId], ['sandbox'], [charged.id]])
    await send(statements.attemptsOf, [[paymentId], [id]])
    const { amount_minor: amountMinor, currency, order_id: orderId } = payment
    const sealed = Buffer.from(JSON.stringify(answer))
    await send(statements.saveCapture, [paymentId, amountMinor, charged.id, now, sealed, id, currency])
    const data = { paymentId, orderId, amountMinor, currency }
    const events = [{ type: 'payments.captured.v1', subject: paymentId, data }]
    await send(statements.finish, ['twin', now, JSON.stringify(events)])
  })
  return answer
}

async function charge({ url, apiKey }: Sandbox, payment: Record<string, unknown>, attemptId: string) {
  const answer = await request(`${url}/v1/payments`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${apiKey}`,
      'idempotency-key': String(payment.id),
    },
    body: JSON.stringify({
      ...{ reference: payment.id, amount: payment.amount_minor, currency: payment.currency, token: 'tok_ok' },
      metadata: { orderId: payment.order_id, attemptId },
    }),
  })
  const body = (await answer.body.json()) as { id: string; status: string }
  if (body.status !== 'succeeded') throw new Error(`The sandbox says ${JSON.stringify(body)}`)
  return body
}

/** Stores a signed webhook for the inbox; false when its signature is wrong. */
export async function takeWebhook({ one }: TwinDatabase, { secret }: Sandbox, body: Buffer, given: string) {
  const [, t = '', v1 = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(given) ?? []
  const expected = createHmac('sha256', secret).update(`${t}.`).update(body).digest()
  if (v1 === '' || !timingSafeEqual(expected, Buffer.from(v1, 'hex'))) return false
  const event = JSON.parse(body.toString())
  await one(statements.storeWebhook, [event.id, event.type, event.data.payment.id, body, new Date()])
  return true
}

/** Works off the webhooks that say nothing new; resolves with how many those were. */
export const workInbox = async ({ one }: TwinDatabase): Promise<number> =>
  (await one(statements.claimInbox, [new Date()])).length
