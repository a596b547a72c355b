import { openConnection } from './connection.ts'

export type Reply = { readonly status: number; readonly body: any }
export type Client = {
  readonly send: (method: string, path: string, body?: object, headers?: Record<string, string>) => Promise<Reply>
  readonly close: () => void
}

/** A shop front with one keep-alive connection. */
export async function openClient(url: string): Promise<Client> {
  const { host } = new URL(url)
  const connection = await openConnection(url)
  return {
    send: async (method, path, body, headers = {}) => {
      const text = body ? JSON.stringify(body) : ''
      const all = {
        host,
        ...(body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } : {}),
        ...headers,
      }
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
      const answer = await connection.ask(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`)
      return { status: answer.status, body: answer.body.length > 0 ? JSON.parse(answer.body.toString()) : undefined }
    },
    close: connection.close,
  }
}

/** Runs something with so many clients, each on a connection of its own. */
export async function withClients<T>(url: string, count: number, run: (clients: Client[]) => Promise<T>): Promise<T> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(url)))
  try {
    return await run(clients)
  } finally {
    for (const client of clients) client.close()
  }
}
