import { createHmac } from 'node:crypto'
import { Agent, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { SandboxEvent } from './ledger.ts'
import { seeded } from './seeded.ts'

const ANSWER_WITHIN_MS = 10_000
const LONGEST_BACKOFF_MS = 60_000

export type Courier = ReturnType<typeof openCourier>

/** `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`: how a receiver knows that it was us, and when. */
export function signature(secret: string, body: string, at: Date): string {
  const t = Math.floor(at.getTime() / 1000)
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`
}

/** Delivers events to one URL, each until it is answered 2xx, with a backoff; now and then one twice, as real providers do. */
export function openCourier(options: {
  url: string
  secret: string
  delayMs: number
  duplicateRate: number
  seed: number
  onDelivered(eventId: string): void
}) {
  const secure = options.url.startsWith('https:')
  const agent = secure
    ? new TlsAgent({ keepAlive: true, maxSockets: 16 })
    : new Agent({ keepAlive: true, maxSockets: 16 })
  const timers = new Set<NodeJS.Timeout>()
  const random = seeded(options.seed)

  const later = (delayMs: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      run()
    }, delayMs)
    timers.add(timer)
  }

  const post = (body: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'sandbox-signature': signature(options.secret, body, new Date()),
      }
      const sent = (secure ? tlsRequest : request)(options.url, { method: 'POST', agent, headers }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0)).on('error', reject)
      })
      sent.setTimeout(ANSWER_WITHIN_MS, () => sent.destroy(new Error('No answer in time.')))
      sent.on('error', reject).end(body)
    })

  const deliver = async (event: SandboxEvent, body: string, tries: number): Promise<void> => {
    const status = await post(body).catch(() => 0)
    if (status >= 200 && status < 300) return options.onDelivered(event.id)
    later(Math.min(500 * 2 ** tries, LONGEST_BACKOFF_MS), () => void deliver(event, body, tries + 1))
  }

  return {
    /** Sends an event after the delay, and perhaps once more after that. */
    send(event: SandboxEvent): void {
      const body = JSON.stringify(event)
      later(options.delayMs, () => void deliver(event, body, 0))
      if (random() < options.duplicateRate) later(2 * options.delayMs, () => void deliver(event, body, 0))
    },
    /** Stops at once; what was not delivered stays so in the ledger. */
    close(): void {
      for (const timer of timers) clearTimeout(timer)
      agent.destroy()
    },
  }
}
