import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { seeded } from '#src/sandbox/seeded.ts'

/** What goes wrong between two machines. All but `black-hole` and `errors` work on what the server answers. */
export type Toxic =
  /** Each piece comes so much later, give or take the jitter. */
  | { readonly type: 'latency'; readonly ms: number; readonly jitterMs?: number }
  | { readonly type: 'bandwidth'; readonly bytesPerSecond: number }
  /** Connections are accepted, and nothing comes through, in either direction; those that met it stay dead. */
  | { readonly type: 'black-hole' }
  /** The connection is reset at once, or after so many bytes of answers. */
  | { readonly type: 'reset'; readonly afterBytes?: number }
  /** The connection is closed in good order after so many bytes of answers. */
  | { readonly type: 'limit'; readonly bytes: number }
  /** When the server closes, the client hears of it so much later. */
  | { readonly type: 'slow-close'; readonly ms: number }
  /** One byte at a time. */
  | { readonly type: 'drip'; readonly everyMs: number }
  /** Answers come in pieces of so many bytes, a moment apart. */
  | { readonly type: 'slicer'; readonly bytes: number }
  /** So many of the requests are answered 500 by the proxy: half of these before the server hears of them, half after. */
  | { readonly type: 'errors'; readonly rate: number }

export type ToxicProxy = {
  readonly url: string
  /** `POST` a JSON list of toxics to it: they replace those that are on, for open connections too. */
  readonly controlUrl: string
  readonly set: (...toxics: readonly Toxic[]) => void
  /** Resets every open connection. */
  readonly resetAll: () => void
  readonly close: () => Promise<void>
}

const SERVER_ERROR = 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}'
const SLICE_PAUSE_MS = 2

/** Starts a TCP proxy on a free port of this machine. `target` is asked at each connection. The same seed, the same luck. */
export async function openToxicProxy(target: () => URL, seed = 1): Promise<ToxicProxy> {
  const random = seeded(seed)
  const sockets = new Set<Socket>()
  let toxics: readonly Toxic[] = []
  const is = <Type extends Toxic['type']>(type: Type) =>
    toxics.find((toxic): toxic is Extract<Toxic, { type: Type }> => toxic.type === type)

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: Number(target().port), host: target().hostname, allowHalfOpen: true })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket)).on('error', () => {})
    }
    client.once('close', () => upstream.destroy())
    let answered = 0
    let isDead = false
    let failsAnswer = false
    /** What was heard is handed on in its order. */
    let handingOn = Promise.resolve()

    const reset = () => {
      client.resetAndDestroy()
      upstream.destroy()
    }
    const fail = () => {
      isDead = true
      client.end(SERVER_ERROR)
      upstream.destroy()
    }
    const passes = () => {
      if (is('black-hole')) isDead = true
      const resets = is('reset')
      if (resets && resets.afterBytes === undefined) reset()
      return !isDead && !client.destroyed
    }
    const write = (piece: Buffer) => {
      const limit = is('limit')?.bytes ?? Number.POSITIVE_INFINITY
      const afterBytes = is('reset')?.afterBytes ?? Number.POSITIVE_INFINITY
      const part = piece.subarray(0, Math.max(0, Math.min(limit, afterBytes) - answered))
      answered += part.length
      client.write(part)
      if (answered >= afterBytes) reset()
      if (answered >= limit) client.end()
    }
    /** Cuts an answer up as the present toxics have it, with pauses before each piece. */
    const handOn = async (chunk: Buffer) => {
      for (let at = 0; at < chunk.length && passes() && client.writable; ) {
        const bytes = is('drip') ? 1 : (is('slicer')?.bytes ?? (is('bandwidth') ? 1_024 : chunk.length))
        const piece = chunk.subarray(at, at + bytes)
        const bytesPerSecond = is('bandwidth')?.bytesPerSecond
        const slow = is('drip')?.everyMs ?? (is('slicer') ? SLICE_PAUSE_MS : 0)
        const ms = Math.max(slow, bytesPerSecond ? (piece.length / bytesPerSecond) * 1_000 : 0)
        if (ms > 0) await pause(ms)
        write(piece)
        at += bytes
      }
    }

    passes()
    client.on('data', (chunk: Buffer) => {
      if (!passes()) return
      const isRequest = /^[A-Z]+ \//.test(chunk.subarray(0, 10).toString('latin1'))
      if (isRequest && random() < (is('errors')?.rate ?? 0)) {
        if (random() < 0.5) return fail()
        failsAnswer = true
      }
      upstream.write(chunk)
    })
    client.on('end', () => (isDead ? client.destroy() : upstream.end()))
    upstream.on('data', (chunk: Buffer) => {
      if (!passes()) return
      if (failsAnswer) return fail()
      const { ms = 0, jitterMs = 0 } = is('latency') ?? {}
      const due = Date.now() + ms + (2 * random() - 1) * jitterMs
      handingOn = handingOn.then(async () => {
        if (due > Date.now()) await pause(due - Date.now())
        await handOn(chunk)
      })
    })
    upstream.on('end', () => {
      handingOn = handingOn.then(async () => {
        await pause(is('slow-close')?.ms ?? 0)
        if (passes()) client.end()
      })
    })
    upstream.once('close', () => {
      handingOn = handingOn.then(() => void (isDead || client.end()))
    })
  })
  const set = (...next: readonly Toxic[]) => {
    toxics = next
  }
  const control = createHttpServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    if (request.method === 'POST' && request.url === '/toxics') set(...JSON.parse(text))
    response.setHeader('content-type', 'application/json').end(JSON.stringify(toxics))
  })
  for (const one of [server, control]) await once(one.listen(0, '127.0.0.1'), 'listening')
  const urlOf = (one: typeof server) => `http://127.0.0.1:${(one.address() as AddressInfo).port}`
  return {
    url: urlOf(server),
    controlUrl: `${urlOf(control)}/toxics`,
    set,
    resetAll: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      control.closeAllConnections()
      await Promise.all([server, control].map((one) => new Promise((closed) => one.close(closed))))
    },
  }
}
