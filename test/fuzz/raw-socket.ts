import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** One answer as it stood on the wire. */
export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
/** What came back on one connection: answers in order, bytes that are none, and whether the server closed it. */
export type Exchange = {
  readonly answers: readonly Answer[]
  readonly rest: string
  readonly closed: boolean
  readonly ms: number
}
export type Sending = string | Buffer | AsyncIterable<string | Buffer>

const QUIET_MS = 60

/**
 * Writes bytes to a connection of its own and reads what comes back, until the server closes it, or until so many answers
 * came and nothing after them, or for `patienceMs`. Texts are written byte by character.
 */
export async function exchange(
  url: string,
  sending: Sending,
  { answers: wanted, patienceMs }: { readonly answers: number; readonly patienceMs: number },
): Promise<Exchange> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  const chunks: Buffer[] = []
  let closed = false
  let heard = performance.now()
  socket.on('data', (chunk) => {
    chunks.push(chunk)
    heard = performance.now()
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    closed = true
  })
  await once(socket, 'connect')
  const start = performance.now()
  const written = write(socket, sending)
  const isAnswered = () =>
    performance.now() - heard > QUIET_MS && answersIn(Buffer.concat(chunks)).answers.length >= wanted
  while (!closed && performance.now() - start < patienceMs && !isAnswered()) await pause(5)
  const ms = Math.max(0, (closed ? performance.now() : heard) - start)
  socket.destroy()
  await written
  return { ...answersIn(Buffer.concat(chunks)), closed, ms }
}

async function write(socket: ReturnType<typeof connect>, sending: Sending): Promise<void> {
  for await (const bytes of typeof sending === 'string' || Buffer.isBuffer(sending) ? [sending] : sending) {
    if (!socket.writable) return
    const flushed = socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    if (!flushed) await Promise.race([once(socket, 'drain'), once(socket, 'close')].map((one) => one.catch(() => {})))
  }
}

/** Cuts what a server sent into answers, the interim ones left out. */
export function answersIn(bytes: Buffer): { answers: Answer[]; rest: string } {
  const answers: Answer[] = []
  let left = bytes
  for (;;) {
    const end = left.indexOf('\r\n\r\n')
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(left.toString('latin1', 0, 20)) ?? []
    if (!status || end < 0) return { answers, rest: left.toString('latin1') }
    const headers = headersIn(left.toString('latin1', 0, end))
    const length = Number(headers['content-length'] ?? 0)
    const body = left.subarray(end + 4, end + 4 + length)
    if (body.length < length) return { answers, rest: left.toString('latin1') }
    if (Number(status) >= 200) answers.push({ status: Number(status), headers, body: body.toString() })
    left = left.subarray(end + 4 + length)
  }
}

const headersIn = (head: string): Record<string, string> =>
  Object.fromEntries(
    head
      .split('\r\n')
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
