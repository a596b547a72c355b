import { randomUUID } from 'node:crypto'
import type { RawBuilder } from 'kysely'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import { systemActor } from '#platform/db/system.ts'
import { newId } from '#platform/ids.ts'
import { makeGuestTokens } from '#platform/security/guest-tokens.ts'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../../src/sandbox/server.ts'
import { type Inbox, openInbox, type Webhook } from '../../kit/inbox.ts'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'

export type PayableShop = {
  readonly shop: TestShop
  readonly sandbox: Sandbox
  /** Where the sandbox sends its webhooks: the test hands them on, so that it says when, how often and in what order. */
  readonly inbox: Inbox
  /** An order's open payment, and the order's token. */
  openPayment(amountMinor?: number, currency?: string, minutes?: number): Promise<Opened>
  attempt(payment: Opened, token: string, headers?: Record<string, string>): Promise<Sent>
  read(payment: Opened): Promise<Sent['body']>
  hand(...webhooks: readonly Webhook[]): Promise<number[]>
  /** Speaks to the sandbox's own API, behind the shop's back. */
  atProvider(path: string, body: object): Promise<{ id: string }>
  query<Row>(text: RawBuilder<Row>): Promise<Row[]>
  /** The webhooks about this payment once they are `count`. */
  webhooks(payment: Opened, count: number): Promise<Webhook[]>
  close(): Promise<void>
}
export type Opened = { readonly id: PaymentId; readonly orderId: OrderId; readonly token: string }

/** A shop and a sandbox provider that it really talks to. */
export async function payableShop(
  sandboxOptions: Partial<SandboxOptions> = {},
  env: Record<string, string> = {},
): Promise<PayableShop> {
  const inbox = await openInbox()
  const [secret, apiKey] = [randomUUID(), randomUUID()]
  const sandbox = await startSandbox({
    port: 0,
    webhookUrl: inbox.url,
    secret,
    apiKey,
    webhookDelayMs: 1,
    duplicateRate: 0,
    answerLateMs: 1_500,
    processingMs: 50,
    ...sandboxOptions,
  })
  const shop = await testShop({
    SANDBOX_URL: sandbox.url,
    SANDBOX_SECRET_KEY: apiKey,
    SANDBOX_WEBHOOK_SECRET: secret,
    PAYMENT_TIMEOUT_MS: '500',
    ...env,
  })
  const guestTokens = makeGuestTokens(shop.app.config.tokenSecrets)
  const proofOf = ({ token }: Opened) => ({ 'x-order-token': token })

  return {
    shop,
    sandbox,
    inbox,
    openPayment: async (amountMinor = 1999, currency = 'USD', minutes = 15) => {
      const orderId = newId('ord')
      const { id } = await shop.app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
        shop.app.contexts.payments.openPayment(work, {
          orderId,
          orderNumber: '1001',
          amount: { amountMinor, currency },
          payableUntil: new Date(work.now.getTime() + minutes * 60_000),
          buyerUserId: null,
          tokenVersion: 1,
        }),
      )
      return { id, orderId, token: guestTokens.guestToken(orderId, 1) }
    },
    attempt: (payment, token, headers = {}) =>
      shop.send(
        'POST',
        `/v1/payments/${payment.id}/attempts`,
        { method: 'sandbox', token },
        { ...proofOf(payment), ...headers },
      ),
    read: async (payment) => (await shop.send('GET', `/v1/payments/${payment.id}`, undefined, proofOf(payment))).body,
    hand: (...webhooks) => Promise.all(webhooks.map((webhook) => handOne(shop, webhook))),
    atProvider: async (path, body) => {
      const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
      const response = await fetch(`${sandbox.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
      return (await response.json()) as { id: string }
    },
    query: async (text) => (await text.execute(shop.app.database.db)).rows,
    webhooks: async (payment, count) => {
      const about = () => inbox.received.filter(({ body }) => body.toString().includes(payment.id))
      for (let waited = 0; about().length < count && waited < 5_000; waited += 5)
        await new Promise((resolve) => setTimeout(resolve, 5))
      return about()
    },
    close: async () => {
      await shop.close()
      await sandbox.close()
      await inbox.close()
    },
  }
}

async function handOne(shop: TestShop, { headers, body }: Webhook): Promise<number> {
  const response = await shop.app.http.inject({
    method: 'POST',
    url: '/v1/payments/webhook/sandbox',
    headers: { 'content-type': 'application/json', 'sandbox-signature': String(headers['sandbox-signature']) },
    payload: body,
  })
  return response.statusCode
}
