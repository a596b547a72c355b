import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { stripeId } from './books.ts'
import { type Commands, run } from './commands.ts'
import { StripeFailure } from './failure.ts'
import type { Fault } from './faults.ts'
import { parseForm } from './form.ts'
import { bankPage, returnUrlOf } from './page.ts'
import { type Answer, type Asked, answerTo, type Needs, perform } from './perform.ts'
import { distorted, insteadOf, send } from './send.ts'

type Listening = {
  readonly apiKey: string
  readonly needs: Needs
  readonly commands: Commands
  readonly take: (method: string, path: string) => Fault | undefined
  readonly onRequest: (asked: Asked) => void
}

/** Answers the API under `/v1/`, the bank's page under `/pay/` and the control port under `/control/`. */
export const listen =
  (listening: Listening): RequestListener =>
  (request, response) => {
    // Only what is sent can fail here: the caller has gone.
    answer(listening, request, response).catch(() => response.destroy())
  }

async function answer(listening: Listening, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '/', 'http://stripe')
  const body = await read(request)
  if (pathname.startsWith('/v1/')) return api(listening, request, `${pathname}${search}`, body, response)
  const made = pathname.startsWith('/control/')
    ? control(listening.commands, pathname.slice('/control/'.length), body)
    : page(listening, request.method ?? '', pathname)
  send(response, await made.catch(answerTo))
}

async function control(commands: Commands, name: string, body: string): Promise<Answer> {
  const args: unknown = body === '' ? [] : JSON.parse(body)
  const told = await run(commands, name, Array.isArray(args) ? args : [args])
  return { status: 200, body: JSON.stringify(told ?? {}), headers: {} }
}

async function page({ needs, commands }: Listening, method: string, path: string): Promise<Answer> {
  const [, , id = '', verdict] = path.split('/')
  const intent = needs.books.draft().read('payment_intent', id, 'intent')
  if (method !== 'POST' || (verdict !== 'approve' && verdict !== 'refuse'))
    return { status: 200, body: bankPage(intent), headers: { 'content-type': 'text/html' } }
  commands.authenticate(id, verdict)
  return { status: 303, body: '', headers: { location: returnUrlOf(intent, verdict) ?? `/pay/${id}` } }
}

async function api(
  { apiKey, needs, take, onRequest }: Listening,
  { method = '', headers }: IncomingMessage,
  path: string,
  body: string,
  response: ServerResponse,
): Promise<void> {
  const [pathname = '', search = ''] = path.split('?')
  const key = method === 'POST' ? headers['idempotency-key'] : undefined
  const asked: Asked = {
    method,
    path: pathname,
    params: parseForm(method === 'GET' ? search : body),
    key: typeof key === 'string' ? key : undefined,
  }
  const requestId = stripeId('req')
  const always = {
    'request-id': requestId,
    'stripe-version': String(headers['stripe-version'] ?? needs.apiVersion),
    ...(asked.key === undefined ? {} : { 'idempotency-key': asked.key }),
  }
  onRequest(asked)
  const fault = take(method, pathname)
  const instead = fault && insteadOf(fault, method)
  if (instead === 'silence') return
  const answer =
    headers.authorization !== `Bearer ${apiKey}`
      ? answerTo(stranger())
      : (instead ?? (await perform(needs, asked, fault, requestId).catch(answerTo)))
  if (answer === 'reset' || fault?.kind === 'reset') {
    response.socket?.resetAndDestroy()
    return
  }
  if (fault?.kind === 'silence' && fault.at === 'after') {
    if (fault.delayMs === undefined) return
    await pause(fault.delayMs)
  }
  const sent = instead ? answer : distorted(answer, fault)
  send(response, { ...sent, headers: { ...always, ...sent.headers } }, fault?.kind === 'cut')
}

const stranger = (): StripeFailure =>
  new StripeFailure(401, { type: 'invalid_request_error', message: 'Invalid API Key provided: sk_test_****' }, false)

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
