import { Pool } from 'undici'
import { type CallWatch, unwatched } from './call-watch.ts'
import { makePolicy, type Places } from './policy.ts'

/**
 * A call that brought no usable answer. `answered` tells whether the server ended it, so that it is over there too;
 * `response` is there when it did so with a status. `sent` is false when the server has certainly not heard of it, nor of
 * anything else under the same `deadline()`: it was refused here, or nothing could be connected to.
 */
export class CallFailed extends Error {
  override readonly name = 'CallFailed'
  readonly answered: boolean
  readonly sent: boolean
  readonly response: Answered | undefined

  constructor(message: string, answered: boolean, more: { cause?: unknown; response?: Answered; sent?: boolean } = {}) {
    super(message, { cause: more.cause })
    this.answered = answered
    this.response = more.response
    this.sent = more.sent ?? true
  }
}

type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>
type Answered = { readonly status: number; readonly headers: AnswerHeaders }

export type Call = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
  /** Whether it may be sent again without harm: reads, and writes with an idempotency key. */
  readonly repeatable: boolean
  /** Whether somebody waits for it: it does not queue behind background work. */
  readonly urgent?: boolean
}

export type CallAnswer = { readonly status: number; readonly body: unknown }

export type HttpClient = {
  /**
   * Answers any status below 500 except 429 with its JSON body, 202 and 204 also without one; everything else is a
   * CallFailed. Follows no redirect.
   * `signal` ends it; several calls that share one (`deadline()`) end together.
   */
  readonly call: (call: Call, signal?: AbortSignal) => Promise<CallAnswer>
  /**
   * The same for a vendor's SDK: every status is an answer, and only no answer is a CallFailed. GET, and whatever has an
   * Idempotency-Key, is repeatable: the SDK is to repeat nothing itself. Refuses other origins than the client's.
   */
  readonly fetch: (how?: { readonly urgent?: boolean }) => typeof fetch
  readonly deadline: () => AbortSignal
  readonly close: () => Promise<void>
}

export type HttpClientOptions = {
  readonly origin: string
  /** What a whole call may take, and one try of it: the same unless given. */
  readonly timeoutMs: number
  readonly tryMs?: number
  readonly places: Places
  readonly urgentPlaces?: Places
  readonly headers?: Readonly<Record<string, string>>
  readonly watch?: CallWatch | undefined
  /** Whether a repeatable call is worth repeating after this answer: after 429 and 5xx unless given. */
  readonly isWorthRepeating?: (answer: Answered) => boolean
}

type Raw = Answered & { readonly bytes: Buffer }
type Request = { method: string; path: string; headers: Record<string, string>; body?: string | undefined }

const CONNECT_TIMEOUT_MS = 2_000
const MAX_BODY_BYTES = 1_048_576
/** Errors that only come before a connection stands. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** A client of one outside server, by the rules of `makePolicy`: one circuit breaker and one pool for all its calls. */
export function makeHttpClient(options: HttpClientOptions): HttpClient {
  const { origin, timeoutMs, places, urgentPlaces, isWorthRepeating = ({ status }) => isUnwell(status) } = options
  const tryMs = Math.min(options.tryMs ?? timeoutMs, timeoutMs)
  const deadline = () => AbortSignal.timeout(timeoutMs)
  const pool = new Pool(origin, {
    connections: places.atOnce + (urgentPlaces?.atOnce ?? 0),
    connectTimeout: Math.min(CONNECT_TIMEOUT_MS, tryMs),
    headersTimeout: tryMs,
    bodyTimeout: tryMs,
    keepAliveTimeout: 30_000,
  })
  const policy = makePolicy<Raw>({
    ...{ timeoutMs, tryMs, places, urgentPlaces, watch: options.watch ?? unwatched },
    isFailure: ({ status }) => status >= 500,
    repeatAfterMs: (answer) => (isWorthRepeating(answer) ? retryAfterMs(answer.headers) : undefined),
  })
  /** The deadlines under which something may have been sent. */
  const sentUnder = new WeakSet<AbortSignal>()

  const send = async (
    { method, path, headers, body }: Request,
    how: { repeatable: boolean; urgent: boolean },
    signal: AbortSignal,
  ): Promise<Raw> => {
    const what = `${method} ${path}`
    const attempt = async (trySignal: AbortSignal): Promise<Raw> => {
      const wasSent = sentUnder.has(signal)
      sentUnder.add(signal)
      try {
        const sent = { method, path, headers: { ...options.headers, ...headers }, body: body ?? null }
        const response = await pool.request({ ...sent, signal: trySignal } as Parameters<Pool['request']>[0])
        const bytes = await bytesOf(response.body as AsyncIterable<Buffer>, what)
        return { status: response.statusCode, headers: response.headers, bytes }
      } catch (error) {
        if (!wasSent && NOT_CONNECTED.has((error as { code?: string }).code ?? '')) sentUnder.delete(signal)
        throw error
      }
    }
    try {
      return await policy(attempt, how, signal)
    } catch (cause) {
      if (cause instanceof CallFailed) throw cause
      throw new CallFailed(`${what}: no answer`, false, { cause, sent: sentUnder.has(signal) })
    }
  }

  return {
    deadline,
    call: async ({ method, path, headers = {}, body, repeatable, urgent = false }, signal = deadline()) => {
      const json = body && { 'content-type': 'application/json' }
      const request = { method, path, headers: { ...json, ...headers }, body: body && JSON.stringify(body) }
      return toJson(await send(request, { repeatable, urgent }, signal), `${method} ${path}`)
    },
    fetch:
      ({ urgent = false } = {}) =>
      async (url, { method = 'GET', headers, body, signal } = {}) => {
        const { origin: itsOrigin, pathname, search } = new URL(String(url))
        if (itsOrigin !== new URL(origin).origin) throw new CallFailed(`${itsOrigin} is not ${origin}`, true)
        const sent = Object.fromEntries(new Headers(headers))
        const repeatable = method === 'GET' || sent['idempotency-key'] !== undefined
        const request = { method, path: pathname + search, headers: sent, body: body as string | undefined }
        return toResponse(await send(request, { repeatable, urgent }, signal ?? deadline()))
      },
    close: () => pool.close(),
  }
}

const isUnwell = (status: number): boolean => status >= 500 || status === 429

async function bytesOf(body: AsyncIterable<Buffer>, what: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) throw new CallFailed(`${what}: the answer is too long`, true)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function toJson({ status, headers, bytes }: Raw, what: string): CallAnswer {
  const response = { status, headers }
  if (isUnwell(status)) throw new CallFailed(`${what}: status ${status}`, true, { response })
  if (bytes.length === 0 && (status === 202 || status === 204)) return { status, body: undefined }
  try {
    return { status, body: JSON.parse(bytes.toString('utf8')) }
  } catch (cause) {
    throw new CallFailed(`${what}: status ${status}, not JSON`, true, { cause, response })
  }
}

function toResponse({ status, headers, bytes }: Raw): Response {
  const pairs = Object.entries(headers).flatMap(([name, values = []]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  )
  const hasBody = status !== 204 && status !== 205 && status !== 304
  return new Response(hasBody ? new Uint8Array(bytes) : null, { status, headers: pairs })
}

/** Retry-After in seconds or as a date; 0 where there is none. */
function retryAfterMs({ 'retry-after': value }: AnswerHeaders): number {
  const text = String(value ?? '')
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.max(ms, 0) : 0
}
