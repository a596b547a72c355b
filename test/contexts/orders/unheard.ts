import { createHmac, randomUUID } from 'node:crypto'
import type { Sent } from '../../kit/shop.ts'
import type { Buying, Placed } from './buying.ts'

/** The buyer pays at the provider itself, all or another amount, and we hear nothing of it: the provider's id of the payment. */
export async function payUnheard(
  buying: Buying,
  { body: { payment, total } }: Placed,
  amount: number = total.amountMinor,
): Promise<string> {
  const { sandboxSecretKey } = buying.shop.app.config
  const response = await fetch(`${buying.sandbox.url}/v1/payments`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandboxSecretKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      reference: payment.id,
      amount,
      currency: total.currency,
      token: 'tok_ok',
    }),
  })
  return ((await response.json()) as { id: string }).id
}

/** The webhook of it, sent again, signed anew, when the clock has moved meanwhile, as a provider does. */
export async function tellOf(buying: Buying, id: string, more: object = {}): Promise<Sent> {
  const event = { id: `evt_${randomUUID()}`, type: 'payment.succeeded', data: { payment: { id, ...more } } }
  const t = Math.floor(buying.shop.clock.now.getTime() / 1000)
  const mac = createHmac('sha256', buying.shop.app.config.sandboxWebhookSecret)
  const v1 = mac.update(`${t}.${JSON.stringify(event)}`).digest('hex')
  const signature = { 'sandbox-signature': `t=${t},v1=${v1}` }
  const told = await buying.send('POST', '/v1/payments/webhook/sandbox', event, signature)
  return told.status === 400 ? tellOf(buying, id, more) : told
}
