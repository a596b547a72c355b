import { createHmac } from 'node:crypto'
import { Agent, request } from 'node:http'
import { seeded } from '#src/sandbox/seeded.ts'
import type { Books, StripeEvent } from './books.ts'

const ANSWER_WITHIN_MS = 10_000
const LONGEST_BACKOFF_MS = 5_000

/** How webhooks travel. Rates are of 0 to 1, by a seed. */
export type Travel = {
  /** Kept until the test hands them over, in whatever order. */
  readonly hold: boolean
  readonly delayMs: number
  /** So much later at most, by chance: they overtake each other. */
  readonly jitterMs: number
  readonly duplicateRate: number
  readonly dropRate: number
  /** The wait before the second try; it doubles. */
  readonly retryMs: number
}

export const AT_ONCE: Travel = { hold: false, delayMs: 5, jitterMs: 0, duplicateRate: 0, dropRate: 0, retryMs: 200 }

/** `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`, one v1 for each secret: two while a secret is being rotated. */
export function signature(secrets: readonly string[], body: string, at: Date): string {
  const t = Math.floor(at.getTime() / 1000)
  const signed = secrets.map((secret) => `v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`)
  return [`t=${t}`, ...signed].join(',')
}

/** One event; fails for an id that is none. */
export function eventOf(books: Books, id: string): StripeEvent {
  return books.draft().read('event', id, 'id') as StripeEvent
}

/** Delivers events, each until it is answered 2xx, unless it is dropped or held. */
export function openCourier(
  books: Books,
  options: { url: string | undefined; secrets: readonly string[]; seed: number; travel: Travel },
) {
  let { url, secrets, travel } = options
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const timers = new Set<NodeJS.Timeout>()
  const random = seeded(options.seed)
  let closed = false

  const later = (delayMs: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      run()
    }, delayMs)
    timers.add(timer)
  }

  /** An event as it travels, signed now. */
  const sealed = (event: StripeEvent) => {
    const body = Buffer.from(JSON.stringify(event, null, 2))
    return {
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'content-length': String(body.length),
        'stripe-signature': signature(secrets, body.toString(), new Date()),
        'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      },
      body,
    }
  }

  /** Sends it once; resolves with the receiver's status, 0 when there was no answer. */
  const post = (event: StripeEvent): Promise<number> =>
    new Promise((resolve) => {
      const { headers, body } = sealed(event)
      const sent = request(url ?? '', { method: 'POST', agent, headers }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0)).on('error', () => resolve(0))
      })
      sent.setTimeout(ANSWER_WITHIN_MS, () => sent.destroy())
      sent.on('error', () => resolve(0)).end(body)
    })

  const settled = (id: string): void => {
    if (!closed && books.undelivered.has(id)) books.keep({ settled: id })
  }

  const deliver = async (event: StripeEvent): Promise<number> => {
    const status = url === undefined ? 0 : await post(event)
    if (status >= 200 && status < 300) settled(event.id)
    return status
  }

  const insist = async (event: StripeEvent, tries: number): Promise<void> => {
    if (closed || travel.hold) return
    const status = await deliver(event)
    if (status >= 200 && status < 300) return
    later(Math.min(travel.retryMs * 2 ** tries, LONGEST_BACKOFF_MS), () => void insist(event, tries + 1))
  }

  const send = (event: StripeEvent): void => {
    if (url === undefined || travel.hold) return
    if (random() < travel.dropRate) {
      settled(event.id)
      return
    }
    const copies = random() < travel.duplicateRate ? 2 : 1
    for (let copy = 0; copy < copies; copy++)
      later(travel.delayMs + random() * travel.jitterMs, () => void insist(event, 0))
  }

  return {
    send,
    sealed,
    /** Hands one event over now, whatever else is on its way; resolves with the receiver's status, 0 for none. */
    deliver,
    /** Changes how they travel, where to and by which secrets; what is no longer held is sent. */
    set(change: Partial<Travel> & { readonly url?: string; readonly secrets?: readonly string[] }): void {
      const held = travel.hold
      const { url: newUrl = url, secrets: newSecrets = secrets, ...rest } = change
      url = newUrl
      secrets = newSecrets
      travel = { ...travel, ...rest }
      if (held && !travel.hold) for (const id of books.undelivered) send(eventOf(books, id))
    },
    /** Stops at once; what was not delivered stays so in the books. */
    close(): void {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      agent.destroy()
    },
  }
}
