import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'

const ASK_EVERY_MS = 200
const OF_ONE_CONNECTION = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host', 'expect'])

export type Balancer = {
  readonly url: string
  /** How many processes said at last that they may get traffic. */
  readonly ready: () => number
  readonly close: () => Promise<void>
}

/**
 * A load balancer in front of processes, as operators run one: it asks each for /health/ready about five times a second, and
 * hands requests to those that said yes, in turn, over connections that it keeps open. It has asked each
 * before it is there. It repeats nothing: what fails is a 502.
 */
export async function startBalancer(urls: readonly string[]): Promise<Balancer> {
  const upstreams = urls.map((url) => ({ url, pool: new Pool(url, { headersTimeout: 10_000 }), isReady: false }))
  let isOpen = true
  const look = async (one: (typeof upstreams)[number]) => {
    one.isReady = await isReady(one.url)
  }
  const watch = async (one: (typeof upstreams)[number]) => {
    while (isOpen) {
      await pause(ASK_EVERY_MS)
      await look(one)
    }
  }
  await Promise.all(upstreams.map(look))
  const watching = upstreams.map(watch)
  let turn = 0
  const server = createServer(async (request, response) => {
    const ready = upstreams.filter(({ isReady }) => isReady)
    turn += 1
    const one = ready[turn % ready.length]
    if (one) await handOn(one.pool, request, response)
    else response.writeHead(502).end('{"code":"balancer.nobody-ready"}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ready: () => upstreams.filter(({ isReady }) => isReady).length,
    close: async () => {
      isOpen = false
      await Promise.all(watching)
      server.close()
      server.closeAllConnections()
      await Promise.all(upstreams.map(({ pool }) => pool.destroy()))
    },
  }
}

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/health/ready`).then(
    async (answer) => (await answer.arrayBuffer()) && answer.status === 200,
    () => false,
  )

async function handOn(pool: Pool, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  try {
    const { statusCode, headers, body } = await pool.request({
      path: request.url ?? '/',
      method: request.method ?? 'GET',
      headers: forOneMore(request.headers),
      body: chunks.length > 0 ? Buffer.concat(chunks) : null,
    })
    const bytes = await body.bytes()
    response.writeHead(statusCode, forOneMore(headers)).end(bytes)
  } catch (error) {
    response.writeHead(502).end(JSON.stringify({ code: `balancer.${(error as { code?: string }).code ?? error}` }))
  }
}

const forOneMore = (headers: IncomingMessage['headers']) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_ONE_CONNECTION.has(name)))
