import type { IncomingMessage, ServerResponse } from 'node:http'
import { SandboxError } from './payments.ts'

const BODY_LIMIT_BYTES = 65_536

/** `afterMs`: how late it is sent. */
export type Answer = { status: number; body: string; type?: string; location?: string; afterMs?: number }

/** The body, of at most 64 KiB: the connection of a longer one is ended. */
export function read(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request
      .on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > BODY_LIMIT_BYTES) request.destroy()
        else chunks.push(chunk)
      })
      .on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      .on('error', reject)
  })
}

/** A JSON object; an empty body is one too. */
export function parse(body: string) {
  try {
    const value: unknown = JSON.parse(body === '' ? '{}' : body)
    // Each operation checks what it uses; a value of another type than promised is its caller's 422.
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as never
  } catch {}
  throw new SandboxError(400, 'malformed', 'The body is not a JSON object.')
}

/** Sends an answer. */
export function send(response: ServerResponse, { status, body, type = 'application/json', location }: Answer): void {
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) }
  response.writeHead(status, location === undefined ? headers : { ...headers, location }).end(body)
}
