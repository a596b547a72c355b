import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { type Commands, run } from './commands.ts'
import { StripeFailure } from './failure.ts'
import type { Fault } from './faults.ts'
import { parseForm } from './form.ts'
import { bankPage, returnUrlOf } from './page.ts'
import { type Answer, type Asked, bodyOf, brokenDown, type Needs, perform } from './perform.ts'

const HUGE_BYTES = 10_000_000
const HTML = '<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>'

type Listening = {
  readonly apiKey: string
  readonly needs: Needs
  readonly commands: Commands
  readonly take: (method: string, path: string) => Fault | undefined
  readonly onRequest: (asked: Asked) => void
}

/** Answers the API under `/v1/`, the bank's page under `/pay/` and the control port under `/control/`. */
export const listen = (listening: Listening): RequestListener => {
  const { commands } = listening
  return (request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://stripe')
    const answer = async () => {
      const body = await read(request)
      if (pathname.startsWith('/control/')) return control(commands, pathname, body, response)
      if (pathname.startsWith('/pay/')) return page(listening, request.method ?? '', pathname, response)
      return api(listening, request, pathname, search, body, response)
    }
    answer().catch((error) => {
      const failure = error instanceof StripeFailure ? error : brokenDown()
      if (!(error instanceof StripeFailure)) console.error(error)
      send(response, { status: failure.status, body: bodyOf(failure), headers: {} })
    })
  }
}

async function control(commands: Commands, path: string, body: string, response: ServerResponse): Promise<void> {
  const args: unknown = body === '' ? [] : JSON.parse(body)
  const told = await run(commands, path.slice('/control/'.length), Array.isArray(args) ? args : [args])
  send(response, { status: 200, body: JSON.stringify(told), headers: {} })
}

function page({ needs, commands }: Listening, method: string, path: string, response: ServerResponse): void {
  const [, , id = '', verdict] = path.split('/')
  const intent = needs.books.draft().read('payment_intent', id, 'intent')
  if (method === 'POST' && (verdict === 'approve' || verdict === 'refuse')) {
    commands.authenticate(id, verdict)
    const location = returnUrlOf(intent, verdict) ?? `/pay/${id}`
    send(response, { status: 303, body: '', headers: { location } })
  } else send(response, { status: 200, body: bankPage(intent), headers: { 'content-type': 'text/html' } })
}

async function api(
  { apiKey, needs, take, onRequest }: Listening,
  request: IncomingMessage,
  path: string,
  search: string,
  body: string,
  response: ServerResponse,
): Promise<void> {
  if (request.headers.authorization !== `Bearer ${apiKey}`)
    throw new StripeFailure(
      401,
      { type: 'invalid_request_error', message: 'Invalid API Key provided: sk_test_****' },
      false,
    )
  const method = request.method ?? ''
  const key = request.headers['idempotency-key']
  const asked: Asked = {
    method,
    path,
    params: parseForm(method === 'GET' ? search : body),
    key: typeof key === 'string' && method === 'POST' ? key : undefined,
  }
  onRequest(asked)
  const fault = take(method, path)
  const instead = fault && insteadOf(fault, method, response)
  if (instead === 'nothing') return
  const answer = instead ?? (await perform(needs, asked, fault))
  await deliver(answer, fault, response)
}

/** What comes in place of the operation; undefined when it runs. */
function insteadOf(fault: Fault, method: string, response: ServerResponse): Answer | 'nothing' | undefined {
  if (fault.kind === 'rate-limit') {
    const failure = new StripeFailure(
      429,
      { type: 'invalid_request_error', code: 'rate_limit', message: 'Too many requests hit the API too quickly.' },
      false,
    )
    return { status: 429, body: bodyOf(failure), headers: { 'stripe-should-retry': 'true' } }
  }
  if (fault.kind === 'redirect') return { status: 302, body: '', headers: { location: fault.to } }
  if (!('at' in fault)) return undefined
  if (fault.kind === 'error' && (method === 'GET' || (fault.at === 'before' && fault.kept !== true)))
    return { status: fault.status ?? 500, body: bodyOf(brokenDown(fault.status)), headers: {} }
  if (fault.at === 'after') return undefined
  if (fault.kind === 'html') return pageOf(fault.status)
  if (fault.kind === 'reset') {
    response.socket?.resetAndDestroy()
    return 'nothing'
  }
  // Silence for good: the caller's connection ends it.
  return fault.kind === 'silence' && fault.delayMs === undefined ? 'nothing' : undefined
}

/** Sends the answer, or what a fault makes of it. */
async function deliver(answer: Answer, fault: Fault | undefined, response: ServerResponse): Promise<void> {
  if (fault?.kind === 'silence' && fault.at === 'after') {
    if (fault.delayMs === undefined) return
    await pause(fault.delayMs)
  }
  if (fault?.kind === 'reset') return void response.socket?.resetAndDestroy()
  if (fault?.kind === 'html' && fault.at === 'after') return send(response, pageOf(fault.status))
  if (fault?.kind === 'cut') return sendHalf(response, answer)
  if (fault?.kind === 'huge') return send(response, changed(answer, { ballast: 'x'.repeat(fault.bytes ?? HUGE_BYTES) }))
  if (fault?.kind === 'changed') return send(response, changed(answer, fault.set ?? {}, fault.without))
  send(response, answer)
}

const pageOf = (status: number): Answer => ({ status, body: HTML, headers: { 'content-type': 'text/html' } })

function changed(answer: Answer, set: object, without: readonly string[] = []): Answer {
  const body = Object.entries({ ...JSON.parse(answer.body), ...set }).filter(([name]) => !without.includes(name))
  return { ...answer, body: JSON.stringify(Object.fromEntries(body)) }
}

function sendHalf(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    ...headers,
    'content-length': Buffer.byteLength(body),
  })
  response.write(body.slice(0, body.length / 2), () => response.destroy())
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  if (response.destroyed) return
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'stripe-version': '2026-10-28.endive',
      ...headers,
      'content-length': Buffer.byteLength(body),
    })
    .end(body)
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
