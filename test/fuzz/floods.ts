import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib'
import { send } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import type { Attack } from './attacks.ts'
import { type Document, type Operation, operationsOf } from './document.ts'
import type { WatchedService } from './watched-service.ts'

const MEGABYTE = 1_048_576
const LARGE = Buffer.alloc(10 * MEGABYTE, 'x')
const ZEROS = Buffer.alloc(100 * MEGABYTE, '0')
const BOMBS = {
  gzip: gzipSync(ZEROS),
  deflate: deflateSync(ZEROS),
  br: brotliCompressSync(ZEROS, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
}
/** A file of 10 MB is taken, where files are. */
const ANSWERS = [202, 400, 401, 403, 404, 409, 413, 415]

/** 10 MB, whole and in chunks, and 100 MB compressed to some kB, for every operation that changes something (in the short form an eighth of them). */
export async function floodsOf({ url, cluster }: WatchedService): Promise<Attack[]> {
  const { body: document } = await send(url, 'GET', '/openapi.json')
  const { authorization } = await cluster.asOwner()
  return operationsOf(document as Document)
    .filter(({ method }, index) => method !== 'GET' && index % sized(8, 1) === 0)
    .flatMap((operation) =>
      [`Authorization: ${authorization}`, 'X-Guest: 1'].flatMap((who) => floodsTo(operation, who)),
    )
}

function floodsTo(operation: Operation, who: string): Attack[] {
  const { method, path, operationId } = operation
  const place = path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    name === 'provider' ? 'sandbox' : 'ord_01jd2zq8k5e6v9w3x7y2m4n6p8',
  )
  const type = operation.requestBody?.content['text/csv'] ? 'text/csv' : 'application/json'
  const head = (...headers: string[]) =>
    Buffer.from(
      [
        `${method} ${place} HTTP/1.1`,
        ...['Host: shop.example', who, `Content-Type: ${type}`, 'Idempotency-Key: flooded-key', 'If-Match: "1"'],
        ...[...headers, '', ''],
      ].join('\r\n'),
    )
  const flood = (why: string, bytes: () => Buffer[]): Attack => ({
    why: `${operationId}, ${who.slice(0, 6)}: ${why}`,
    bytes: () => Buffer.concat(bytes()),
    answers: [ANSWERS],
  })
  return [
    flood('10 MB', () => [head(`Content-Length: ${LARGE.length}`), LARGE]),
    flood('10 MB in chunks', () => [
      head('Transfer-Encoding: chunked'),
      Buffer.from(`${LARGE.length.toString(16)}\r\n`),
      LARGE,
      Buffer.from('\r\n0\r\n\r\n'),
    ]),
    ...Object.entries(BOMBS).map(([coding, bomb]) =>
      flood(`a bomb in ${coding}`, () => [head(`Content-Encoding: ${coding}`, `Content-Length: ${bomb.length}`), bomb]),
    ),
  ]
}
