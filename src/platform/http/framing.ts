import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Refusal } from '#kernel/refusal.ts'
import { refuse } from '#platform/problems.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse }

/**
 * Node's own limits: who does not finish a head in half the time of a request, or a request in all of it, is told so
 * within a second. (Left to themselves they were looked for twice a minute, and a body had as long as Node gives a head.)
 */
export const slownessOf = (requestTimeoutMs: number) => ({
  headersTimeout: Math.ceil(requestTimeoutMs / 2),
  connectionsCheckingInterval: 1_000,
  // Refused by us, with a problem document.
  requireHostHeader: false,
})

/**
 * Makes what Node would answer by itself a problem document like all others: what is no HTTP, never ends, is ambiguous
 * about where it ends, or is encoded. No bytes of it are taken for a second request, and no answer overtakes one before it.
 */
export function answerBelowRoutes(app: FastifyInstance, headers: Readonly<Record<string, string>>): void {
  const latest = new WeakMap<Duplex, Exchange>()
  const leaving = new WeakSet<Duplex>()
  const tell = (socket: Duplex, refusal: Refusal, more: Readonly<Record<string, string>> = {}): void =>
    void socket.end(writtenOut(refusal, { ...headers, ...more }))

  const { server } = app
  server.on('request', (request, response) => latest.set(request.socket, { request, response }))
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (_request, socket) =>
    tell(socket, refuse('platform.method-not-allowed'), { allow: 'GET, POST, PATCH, DELETE' }),
  )
  server.removeAllListeners('clientError')
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    if (leaving.has(socket)) return
    leaving.add(socket)
    const { request, response } = latest.get(socket) ?? {}
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    if (!request || !response) return tell(socket, unreadable(error))
    // An answer was given before the request had ended, or those of requests before it are still owed.
    if (!request.complete && (response.headersSent || !response.socket)) return void socket.destroy()
    if (!request.complete || response.writableFinished) return tell(socket, unreadable(error))
    response.once('close', () => tell(socket, unreadable(error)))
  })
  app.addHook('onRequest', refuseAmbiguous)
}

function unreadable({ code }: { code?: string }): Refusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuse('platform.too-slow')
  if (code === 'HPE_HEADER_OVERFLOW') return refuse('platform.head-too-large')
  return refuse('platform.malformed', 'The request could not be read.')
}

function writtenOut(refusal: Refusal, headers: Readonly<Record<string, string>>): string {
  const problem = problemOf(refusal, randomUUID())
  const body = JSON.stringify(problem)
  const lines = Object.entries({
    ...headers,
    connection: 'close',
    'content-type': PROBLEM_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': problem.instance,
  }).map(([name, value]) => `${name}: ${value}`)
  return `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

/** What a proxy before us could read in another way than we do, and bodies that are to be decoded first. */
async function refuseAmbiguous({ raw, method }: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { headers, httpVersion, rawHeaders } = raw
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw refuse('platform.malformed', 'Speak HTTP/1.1.')
  const hosts = rawHeaders.filter(
    (text, index) => index % 2 === 0 && text.length === 4 && text.toLowerCase() === 'host',
  )
  if (hosts.length > 1 || (hosts.length === 0 && httpVersion === '1.1'))
    throw refuse('platform.malformed', 'Host is to be sent once.')
  const { 'transfer-encoding': framing = 'chunked', 'content-encoding': coding = 'identity', expect } = headers
  if (framing.toLowerCase() !== 'chunked') throw refuse('platform.malformed', 'Transfer-Encoding takes chunked alone.')
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    throw refuse('platform.malformed', 'Expect takes 100-continue alone.')
  if (coding.toLowerCase() === 'identity' || method === 'GET' || method === 'HEAD') return
  reply.header('accept-encoding', 'identity')
  throw refuse('platform.unsupported-media-type', 'Send the body as it is: Content-Encoding is not taken.')
}
