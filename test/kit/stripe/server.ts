/**
 * A stateful double of Stripe that the real SDK talks to. It knows nothing of Stoa.
 *
 *     const stripe = await startStripe({ webhookUrl, secrets: ['whsec_test'] })
 *     const sdk = new Stripe(stripe.apiKey, { host: '127.0.0.1', port: stripe.port, protocol: 'http' })
 *
 * Payments: PaymentIntents (create, confirm, capture, cancel, update, retrieve, list, search), charges, refunds, disputes and
 * events, in Stripe's shapes, states and errors. As at Stripe, a confirm needs a `return_url` unless the intent was made
 * with `automatic_payment_methods[allow_redirects]=never` or with `allowed_payment_method_types`; since the
 * API version of autumn 2026 `payment_method_types` is refused.
 * Outcomes are chosen by payment method: see `cards.ts` (`pm_card_visa`, `pm_card_chargeDeclined`,
 * `pm_card_authenticationRequired`, `pm_card_pendingRefund`, `pm_card_refundFail`, `pm_processing`, …).
 *
 * The same by HTTP, for a double that runs as a process (`main.ts`): `GET /control/ledger`, `GET /control/events`,
 * `GET /control/requests`, `POST /control/<command>` with a JSON array of its arguments, for each command below:
 * `POST /control/faults [{"match":{"method":"POST","path":"/confirm$"},"fault":{"kind":"reset","at":"after"}}]`.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openBooks, type StripeEvent } from './books.ts'
import { cardOf } from './cards.ts'
import { makeCommands } from './commands.ts'
import { type FaultRule, openFaults } from './faults.ts'
import { openIdempotency } from './idempotency.ts'
import { listen } from './listen.ts'
import type { Asked, Needs } from './perform.ts'
import { AT_ONCE, eventOf, openCourier, type Travel } from './webhooks.ts'

export type StripeOptions = {
  /** 0 for any free one, unless said. */
  readonly port?: number
  readonly apiKey?: string
  /** Without one, webhooks are only kept: `events()`, `webhookOf(id)`. */
  readonly webhookUrl?: string
  /** One signature for each: two while a secret is being rotated. */
  readonly secrets?: readonly string[]
  /** Where the books survive a restart; in memory only when left out. */
  readonly journalFile?: string
  /** Of what is left to chance. */
  readonly seed?: number
  readonly webhooks?: Partial<Travel>
  readonly faults?: readonly FaultRule[]
  /** How long each request takes; its idempotency key is in use meanwhile. */
  readonly latencyMs?: number
  /** How long until a search finds what was made. */
  readonly searchLagMs?: number
  /** How long `pm_processing` takes; a test may `finish` it sooner. */
  readonly processingMs?: number
  /** How long until a refund of `pm_card_pendingRefund` arrives, and one of `pm_card_refundFail` fails. */
  readonly refundMs?: number
  readonly apiVersion?: string
}

export type StripeDouble = Awaited<ReturnType<typeof startStripe>>

/** Starts the double; see the top of this file. */
export async function startStripe(options: StripeOptions = {}) {
  const { apiKey = 'sk_test_double', seed = 1, processingMs = 1_000, refundMs = 1_000 } = options
  const { apiVersion = '2026-10-28.endive' } = options
  const books = openBooks(apiVersion, options.journalFile)
  const courier = openCourier(books, {
    url: options.webhookUrl,
    secrets: options.secrets ?? ['whsec_test'],
    seed,
    travel: { ...AT_ONCE, ...options.webhooks },
  })
  const faults = openFaults(seed, options.faults)
  const timers = new Set<NodeJS.Timeout>()
  const requests: Asked[] = []
  let url = ''
  let searchLagMs = options.searchLagMs ?? 0

  const onChange = (events: readonly StripeEvent[]): void => {
    for (const event of events) {
      courier.send(event)
      carryOn(event)
    }
  }
  const stripe = makeCommands(books, onChange)

  /** Lets happen by itself what takes its time; also after a restart, from the event that began it. */
  const carryOn = ({ type, data: { object } }: StripeEvent): void => {
    const later = (ms: number, run: () => unknown): void => {
      const timer = setTimeout(() => {
        timers.delete(timer)
        run()
      }, ms)
      timers.add(timer)
    }
    if (type === 'payment_intent.processing') later(processingMs, () => stripe.finish(object.id))
    if (type !== 'refund.created') return
    const { refunds } = cardOf(books.find(object.charge)?.payment_method) ?? {}
    if (refunds === 'pending') later(refundMs, () => stripe.finishRefund(object.id))
    if (refunds === 'fail') later(refundMs, () => stripe.failRefund(object.id))
  }

  const commands = {
    ...stripe,
    /** Orders faults; see `faults.ts`. */
    faults: (...rules: FaultRule[]): void => faults.add(...rules),
    clearFaults: () => faults.clear(),
    /** How many faults of so many times have not come yet. */
    faultsWaiting: () => faults.waiting(),
    /** Changes how webhooks travel, where to, and by which secrets they are signed; `{ hold: false }` sends what was held. */
    webhooks: (change: Parameters<typeof courier.set>[0]) => courier.set(change),
    /** Everything that happened, from the oldest on. */
    events: (): StripeEvent[] => books.all('event').reverse() as StripeEvent[],
    /** The events that nobody has taken yet, from the oldest on. */
    owed: (): string[] => [...books.undelivered],
    /** One event as it travels, signed now: for a test that hands it over itself. */
    webhookOf: (id: string) => courier.sealed(eventOf(books, id)),
    /** Sends one event now, as often as asked; resolves with the receiver's status, 0 when there was no answer. */
    deliver: (id: string): Promise<number> => courier.deliver(eventOf(books, id)),
    /** How long from now on until a search finds what was made. */
    searchLag: (ms: number): void => {
      searchLagMs = ms
    },
    /** What was asked through the API, from the oldest on; not kept over a restart. */
    requests: (): readonly Asked[] => requests,
  }

  const needs: Needs = {
    books,
    idempotency: openIdempotency(books),
    url: () => url,
    latencyMs: options.latencyMs ?? 2,
    searchLagMs: () => searchLagMs,
    apiVersion,
    onChange,
  }
  const server = createServer(
    listen({ apiKey, needs, commands, take: faults.take, onRequest: (asked) => void requests.push(asked) }),
  )
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  url = `http://127.0.0.1:${port}`
  for (const id of books.undelivered) courier.send(eventOf(books, id))
  for (const event of commands.events()) carryOn(event)

  return {
    ...commands,
    url,
    port,
    apiKey,
    close: (): Promise<void> =>
      new Promise((resolve) => {
        courier.close()
        for (const timer of timers) clearTimeout(timer)
        server.close(() => {
          books.close()
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
