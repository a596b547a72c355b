import type { ServerResponse } from 'node:http'
import { StripeFailure } from './failure.ts'
import { type Fault, staysWithKey } from './faults.ts'
import { type Answer, answerTo } from './perform.ts'

const HUGE_BYTES = 10_000_000

/** What comes in place of the operation, which then never runs; undefined when it does. */
export function insteadOf(fault: Fault, method: string): Answer | 'silence' | 'reset' | undefined {
  if (fault.kind === 'rate-limit') return answerTo(tooMany())
  if (fault.kind === 'redirect') return { status: 302, body: '', headers: { location: fault.to } }
  if (!('at' in fault) || fault.at === 'after') return undefined
  if (fault.kind === 'html') return proxyPage(fault.status)
  if (fault.kind === 'reset') return 'reset'
  if (fault.kind === 'silence') return fault.delayMs === undefined ? 'silence' : undefined
  return method === 'POST' && staysWithKey(fault) ? undefined : edgeError(fault.status)
}

/** What a fault makes of an answer on its way. */
export function distorted(answer: Answer, fault: Fault | undefined): Answer {
  if (fault?.kind === 'error' && answer.status < 500) return edgeError(fault.status)
  if (fault?.kind === 'html') return proxyPage(fault.status)
  if (fault?.kind === 'huge') return changed(answer, { ballast: 'x'.repeat(fault.bytes ?? HUGE_BYTES) })
  if (fault?.kind === 'changed') return changed(answer, fault.set ?? {}, fault.without)
  return answer
}

/** Sends an answer, JSON unless it says otherwise; or half of it, and then the connection ends. */
export function send(response: ServerResponse, { status, body, headers }: Answer, half = false): void {
  if (response.destroyed) return
  const length = { 'content-length': Buffer.byteLength(body) }
  response.writeHead(status, { 'content-type': 'application/json', ...headers, ...length })
  if (half) response.write(body.slice(0, body.length / 2), () => response.destroy())
  else response.end(body)
}

function changed(answer: Answer, set: object, without: readonly string[] = []): Answer {
  const fields = Object.entries({ ...JSON.parse(answer.body), ...set }).filter(([name]) => !without.includes(name))
  return { ...answer, body: JSON.stringify(Object.fromEntries(fields)) }
}

const proxyPage = (status: number): Answer => ({
  status,
  body: '<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>',
  headers: { 'content-type': 'text/html' },
})

const edgeError = (status = 500): Answer =>
  answerTo(new StripeFailure(status, { type: 'api_error', message: 'There was an error at the edge.' }, false))

const tooMany = (): StripeFailure =>
  new StripeFailure(
    429,
    { type: 'invalid_request_error', code: 'rate_limit', message: 'Too many requests hit the API too quickly.' },
    false,
  )
