import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { PaymentProvider, WebhookEvent } from '../../src/contexts/payments/application/payment-provider.ts'

export type Webhook = { readonly headers: IncomingHttpHeaders; readonly body: Buffer }
export type Inbox = {
  readonly url: string
  readonly received: readonly Webhook[]
  /** The first genuine webhook that fits, waited for; throws after five seconds. */
  until(fits: (event: WebhookEvent) => boolean, provider: PaymentProvider): Promise<Webhook>
  /** What the next webhooks are answered: 204 unless set. */
  answer: number
  close(): Promise<void>
}

/** A place that a provider can send webhooks to. */
export async function openInbox(): Promise<Inbox> {
  const received: Webhook[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    received.push({ headers: request.headers, body: Buffer.concat(chunks) })
    response.writeHead(inbox.answer).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const inbox: Inbox = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    received,
    answer: 204,
    until: async (fits, provider) => {
      for (let waited = 0; waited < 5_000; waited += 10) {
        const fitting = received.find(({ headers, body }) => {
          const event = provider.readWebhook(headers, body, new Date())
          return event !== undefined && fits(event)
        })
        if (fitting) return fitting
        await pause(10)
      }
      throw new Error('No such webhook came.')
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return inbox
}
