import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { comingOf } from './coming.ts'
import { closeDispute, openDispute } from './disputes.ts'
import { type Answer, parse, read, send } from './http.ts'
import { openLedger, type SandboxDispute, type SandboxPayment, type SandboxRefund } from './ledger.ts'
import { bankPage } from './page.ts'
import {
  type Change,
  cancelPayment,
  capturePayment,
  confirmPayment,
  createPayment,
  eventOf,
  fail,
  findPayment,
  SandboxError,
  succeed,
} from './payments.ts'
import { endRefundOf, refundPayment } from './refunds.ts'
import { openCourier } from './webhooks.ts'

export type SandboxOptions = {
  /** 0 for any free one. */
  readonly port: number
  readonly host?: string
  /** Where buyers reach the page that asks them to approve; the server's own address unless given. */
  readonly publicUrl?: string
  readonly webhookUrl: string
  readonly secret: string
  readonly apiKey: string
  /** Where the books survive a restart; in memory only when left out. */
  readonly journalFile?: string
  readonly webhookDelayMs?: number
  /** How many of the webhooks are sent twice: 0.1 unless given. */
  readonly duplicateRate?: number
  readonly seed?: number
  /** How late `tok_timeout` is answered. */
  readonly answerLateMs?: number
  /** How long it takes what a token only lets happen later: `tok_processing`, `tok_dispute`. */
  readonly processingMs?: number
  /** How long refunds of `tok_refund_…` are on their way: as long as that unless given. */
  readonly refundMs?: number
  /** How long authorised money waits to be captured: 7 days unless given. */
  readonly authorisedMs?: number
}

export type Sandbox = {
  readonly url: string
  /** The provider's own books: an independent witness. */
  ledger(): { payments: SandboxPayment[]; refunds: SandboxRefund[]; disputes: SandboxDispute[] }
  close(): Promise<void>
}

const PAGE = 100
const WEEK_MS = 7 * 24 * 3_600_000

/**
 * Starts the sandbox: a payment provider as a stranger would run it, with its own books and ids, an API behind a key,
 * a page where buyers approve, and signed webhooks that are repeated until they are taken. It knows nothing of Stoa.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const timing = {
    answerLateMs: options.answerLateMs ?? 30_000,
    processingMs: options.processingMs ?? 1_000,
    refundMs: options.refundMs ?? options.processingMs ?? 1_000,
    authorisedMs: options.authorisedMs ?? WEEK_MS,
  }
  const ledger = openLedger(options.journalFile)
  const timers = new Set<NodeJS.Timeout>()
  const awaited = new Set<string>()
  const courier = openCourier({
    url: options.webhookUrl,
    secret: options.secret,
    delayMs: options.webhookDelayMs ?? 50,
    duplicateRate: options.duplicateRate ?? 0.1,
    seed: options.seed ?? 1,
    onDelivered: (eventId) => {
      if (ledger.undelivered.has(eventId)) ledger.keep({ delivered: eventId })
    },
  })
  let url = ''

  const later = (delayMs: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      run()
    }, delayMs)
    timers.add(timer)
  }

  /** Keeps a change with the answer to its key, tells of it, and lets come what is still to come. */
  const settle = (change: Change, status: number, asked?: { key: string; request: string }): Answer => {
    const body = JSON.stringify(change.refund ?? change.dispute ?? change.payment)
    const event = eventOf(change)
    ledger.keep(
      { payment: change.payment },
      ...(event ? [{ event }] : []),
      ...(asked ? [{ key: asked.key, answer: { asked: asked.request, status, body } }] : []),
    )
    if (event) courier.send(event)
    awaitWhatComes(change.payment)
    return { status, body, ...(change.answerAfterMs === undefined ? {} : { afterMs: change.answerAfterMs }) }
  }

  /** Lets each thing happen once, unless it has become impossible by then. */
  const awaitWhatComes = (payment: SandboxPayment): void => {
    for (const { name, afterMs, change } of comingOf(payment, timing)) {
      if (awaited.has(name)) continue
      awaited.add(name)
      later(afterMs, () => {
        awaited.delete(name)
        const now = findPayment(ledger, payment.id)
        if (comingOf(now, timing).some((coming) => coming.name === name)) settle(change(now), 200)
      })
    }
  }

  const post = (path: string, body: string, key: string | undefined): Answer => {
    const request = `${path}\n${body}`
    const first = key === undefined ? undefined : ledger.answers.get(key)
    if (first && first.asked !== request)
      throw new SandboxError(409, 'idempotency_key_reused', 'This key came with another request.')
    if (first) return { status: first.status, body: first.body }
    const asked = key === undefined ? undefined : { key, request }
    const [, , collection, id = '', verb] = path.split('/')
    const wanted = parse(body)
    if (collection === 'disputes' && verb === 'close') return settle(closeDispute(ledger, id, wanted), 200, asked)
    if (collection === 'refunds' && verb === 'end') return settle(endRefundOf(ledger, id, wanted), 200, asked)
    if (collection !== 'payments') throw new SandboxError(404, 'not_found', 'No such resource.')
    if (id === '') return settle(createPayment(wanted, url, timing), 201, asked)
    const payment = findPayment(ledger, id)
    if (verb === 'confirm') return settle(confirmPayment(payment, wanted, url, timing), 200, asked)
    if (verb === 'capture') return settle(capturePayment(payment, wanted), 200, asked)
    if (verb === 'cancel') return settle(cancelPayment(payment), 200, asked)
    if (verb === 'disputes') return settle(openDispute(payment, wanted), 201, asked)
    if (verb === 'refunds') return settle(refundPayment(payment, wanted), 201, asked)
    throw new SandboxError(404, 'not_found', 'No such resource.')
  }

  const get = (path: string, query: URLSearchParams): Answer => {
    const [, , collection, id = ''] = path.split('/')
    if (collection !== 'payments') throw new SandboxError(404, 'not_found', 'No such resource.')
    if (id !== '') return { status: 200, body: JSON.stringify(findPayment(ledger, id)) }
    return { status: 200, body: JSON.stringify({ data: listed(query) }) }
  }

  /** The payments of one reference; or those made in a span of time, a page of 100 from the one after `after` on. */
  const listed = (query: URLSearchParams): SandboxPayment[] => {
    const reference = query.get('reference')
    if (reference !== null) return ledger.ofReference(reference)
    const said = (name: string) => query.get(name) ?? ''
    const [from, before, after] = [said('createdFrom'), said('createdBefore'), said('after')]
    const made = [...ledger.payments.values()].filter(
      ({ createdAt }) => createdAt >= from && (before === '' || createdAt < before),
    )
    const start = after === '' ? 0 : made.findIndex(({ id }) => id === after) + 1
    return made.slice(start, start + PAGE)
  }

  /** The page of a payment at its buyer's bank, and the buttons on it. */
  const page = (method: string, path: string): Answer => {
    const [, , id = '', verdict] = path.split('/')
    const payment = findPayment(ledger, id)
    if (method === 'GET') return { status: 200, type: 'text/html', body: bankPage(payment) }
    const open = payment.disputes.find(({ status }) => status === 'open')
    const waiting = payment.status === 'requires_action'
    if (waiting && verdict === 'approve') settle(succeed(payment, timing), 200)
    if (waiting && verdict === 'refuse') settle(fail(payment, 'authentication_failed', 'The buyer refused.'), 200)
    if (verdict === 'dispute') settle(openDispute(payment, {}), 200)
    if (open && (verdict === 'won' || verdict === 'lost'))
      settle(closeDispute(ledger, open.id, { outcome: verdict }), 200)
    return { status: 303, body: '', location: backTo(payment, verdict) }
  }

  const route = async (request: IncomingMessage): Promise<Answer> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://sandbox')
    const body = request.method === 'POST' ? await read(request) : ''
    if (pathname.startsWith('/pay/')) return page(request.method ?? '', pathname)
    if (!sameText(request.headers.authorization ?? '', `Bearer ${options.apiKey}`))
      throw new SandboxError(401, 'unauthorized', 'The API key is missing or wrong.')
    const key = request.headers['idempotency-key']
    if (request.method === 'POST') return post(pathname, body, typeof key === 'string' ? key : undefined)
    if (request.method === 'GET') return get(pathname, searchParams)
    throw new SandboxError(405, 'method_not_allowed', 'Only GET and POST.')
  }

  const server = createServer((request, response) => {
    route(request)
      .catch(toAnswer)
      .then((answer) =>
        answer.afterMs === undefined ? send(response, answer) : later(answer.afterMs, () => send(response, answer)),
      )
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port, options.host ?? '127.0.0.1', resolve)
  })
  const own = `http://${options.host ?? '127.0.0.1'}:${(server.address() as AddressInfo).port}`
  url = options.publicUrl ?? own
  for (const event of ledger.undelivered.values()) courier.send(event)
  for (const payment of ledger.payments.values()) awaitWhatComes(payment)

  return {
    url: own,
    ledger: () => {
      const payments = structuredClone([...ledger.payments.values()])
      const [refunds, disputes] = [payments.flatMap((one) => one.refunds), payments.flatMap((one) => one.disputes)]
      return { payments, refunds, disputes }
    },
    close: () =>
      new Promise((resolve) => {
        courier.close()
        for (const timer of timers) clearTimeout(timer)
        server.close(() => {
          ledger.close()
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

/** A buyer who has decided goes back to the shop. */
const backTo = ({ id, returnUrl }: SandboxPayment, verdict: string | undefined): string =>
  ((verdict === 'approve' || verdict === 'refuse') && returnUrl) || `/pay/${id}`

function toAnswer(error: unknown): Answer {
  const known = error instanceof SandboxError ? error : new SandboxError(500, 'internal_error', 'Something went wrong.')
  return { status: known.status, body: JSON.stringify({ error: { code: known.code, message: known.message } }) }
}

const sameText = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
