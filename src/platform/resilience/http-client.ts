import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'

/**
 * A call that brought no usable answer. `answered` tells whether the server ended it, so that it is over there too;
 * `response` is there when it did so with a status.
 */
export class CallFailed extends Error {
  override readonly name = 'CallFailed'
  readonly answered: boolean
  readonly response: Answered | undefined

  constructor(message: string, answered: boolean, cause?: unknown, response?: Answered) {
    super(message, { cause })
    this.answered = answered
    this.response = response
  }
}

type Answered = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export type Call = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
  /** Whether it may be sent again without harm: reads, and writes with an idempotency key. */
  readonly repeatable: boolean
}

export type CallAnswer = { readonly status: number; readonly body: unknown }

export type HttpClient = {
  /**
   * Answers any status below 500 except 429 with its JSON body, 202 and 204 also without one; everything else is a
   * CallFailed. Follows no redirect.
   * `signal` ends it; several calls that share one (`deadline()`) end together.
   */
  readonly call: (call: Call, signal?: AbortSignal) => Promise<CallAnswer>
  readonly deadline: () => AbortSignal
  readonly close: () => Promise<void>
}

const RETRIES = 2
const CONNECT_TIMEOUT_MS = 2_000
const MAX_BODY_BYTES = 1_048_576

/**
 * A client of one outside server. The whole call, repeats included, ends within `timeoutMs`; repeatable calls are sent
 * up to two times more after a broken connection, 429 or 5xx, with a jittered pause.
 */
export function makeHttpClient(options: {
  readonly origin: string
  readonly timeoutMs: number
  readonly connections: number
  readonly headers: Readonly<Record<string, string>>
}): HttpClient {
  const { timeoutMs } = options
  const deadline = () => AbortSignal.timeout(timeoutMs)
  const pool = new Pool(options.origin, {
    connections: options.connections,
    connectTimeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: 30_000,
  })

  const send = async ({ method, path, headers, body }: Call, signal: AbortSignal): Promise<CallAnswer> => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const response = await pool
      .request({
        method,
        path,
        headers: { ...options.headers, ...json, ...headers },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      })
      .catch((error) => {
        throw new CallFailed(`${method} ${path}: no answer`, false, error)
      })
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > MAX_BODY_BYTES) throw new CallFailed(`${method} ${path}: the answer is too long`, true)
        chunks.push(chunk)
      }
    } catch (error) {
      throw error instanceof CallFailed
        ? error
        : new CallFailed(`${method} ${path}: the answer broke off`, false, error)
    }
    const status = response.statusCode
    const answered = { status, headers: response.headers }
    if (status >= 500 || status === 429)
      throw new CallFailed(`${method} ${path}: status ${status}`, true, undefined, answered)
    if (bytes === 0 && (status === 202 || status === 204)) return { status, body: undefined }
    try {
      return { status, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) }
    } catch (error) {
      throw new CallFailed(`${method} ${path}: status ${status}, not JSON`, true, error, answered)
    }
  }

  return {
    deadline,
    call: async (call, signal = deadline()) => {
      for (let retry = 0; ; retry += 1) {
        try {
          return await send(call, signal)
        } catch (error) {
          if (!call.repeatable || retry === RETRIES || signal.aborted) throw error
          await pause(50 * 2 ** retry * (0.5 + Math.random()), undefined, { signal }).catch(() => {
            throw error
          })
        }
      }
    },
    close: () => pool.close(),
  }
}
