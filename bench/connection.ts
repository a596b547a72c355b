import { once } from 'node:events'
import { connect } from 'node:net'

type Answer = { readonly status: number; readonly headers: string; readonly body: Buffer }
export type Connection = {
  /** Sends one request, given as it goes over the wire, and resolves with its answer; one at a time. */
  readonly ask: (request: string) => Promise<Answer>
  readonly close: () => void
}

const END_OF_HEADERS = '\r\n\r\n'

/**
 * Opens a keep-alive HTTP connection. It is as small as it can be, since the generator of the load shares the cores with
 * what it measures: answers must tell their length.
 */
export async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
  let chunks: Buffer[] = []
  let received = 0
  let head: { status: number; headers: string; bodyAt: number; end: number } | undefined

  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    received += chunk.length
    head ??= readHead(chunks)
    if (!head || received < head.end) return
    const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    const { status, headers, bodyAt } = head
    const answered = waiting
    ;[waiting, chunks, received, head] = [undefined, [], 0, undefined]
    answered?.resolve({ status, headers, body: bytes.subarray(bodyAt) })
  })
  socket.on('error', (error) => waiting?.reject(error))
  socket.on('close', () => waiting?.reject(new Error(`${url} closed the connection.`)))
  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}

function readHead(chunks: Buffer[]) {
  const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
  const headersEnd = bytes.indexOf(END_OF_HEADERS)
  if (headersEnd < 0) return undefined
  const headers = bytes.toString('latin1', 0, headersEnd)
  const status = Number(headers.slice(9, 12))
  const length = status === 204 ? '0' : /\r\ncontent-length: *(\d+)/i.exec(headers)?.[1]
  if (length === undefined) throw new Error('The answer does not tell its length.')
  const bodyAt = headersEnd + END_OF_HEADERS.length
  return { status, headers, bodyAt, end: bodyAt + Number(length) }
}
