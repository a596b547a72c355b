import { setTimeout as pause } from 'node:timers/promises'
import type { Sending } from './raw-socket.ts'

/** Bytes on one connection, and the statuses of the answers to them, in order; each may be one of several. */
export type Attack = {
  readonly why: string
  readonly bytes: () => Sending
  readonly answers: readonly (readonly number[])[]
  /** How long the server may be silent before it answers; it is waited for when it has said nothing. */
  readonly patienceMs?: number
}

/** How much later than it must the server may say so: others may have the processors. */
export const SPARE_MS = 15_000
const HOST = 'Host: shop.example'
/** A request as it is written, each line ended properly; the last lines are its body. */
const request = (line: string, headers: readonly string[] = [], body = ''): string =>
  [line, HOST, ...headers, '', body].join('\r\n')

const JSON_BODY = 'Content-Type: application/json'
export const GET = request('GET /v1/store HTTP/1.1', ['X-Request-Id: attack-of-a-get'])
const post = (headers: readonly string[], body: string) =>
  request('POST /v1/carts HTTP/1.1', [JSON_BODY, 'X-Request-Id: attack-of-a-post', ...headers], body)
const chunked = (body: string, ...headers: string[]) => post(['Transfer-Encoding: chunked', ...headers], body)
const posted = (body: string) => post([`Content-Length: ${Buffer.byteLength(body)}`], body)

const MALFORMED = [[400]]
const attack = (answers: Attack['answers'], all: Readonly<Record<string, Sending>>): Attack[] =>
  Object.entries(all).map(([why, bytes]) => ({ why, bytes: () => bytes, answers }))

/** Where a request ends is said twice, or not clearly: what one reads as a body another reads as a second request. */
const SMUGGLED = attack(MALFORMED, {
  'a length, then chunks': post(['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${GET}`),
  'chunks, then a length': post(['Transfer-Encoding: chunked', 'Content-Length: 4'], `5c\r\n${GET}\r\n0\r\n\r\n`),
  'two lengths': post(['Content-Length: 2', 'Content-Length: 50'], `{}${GET}`),
  'two lengths that agree': post(['Content-Length: 2', 'Content-Length: 2'], '{}'),
  'a list of lengths': post(['Content-Length: 2, 2'], '{}'),
  'a length with a sign': post(['Content-Length: +2'], '{}'),
  'a length below nothing': post(['Content-Length: -1'], `{}${GET}`),
  'a length in hexadecimal': post(['Content-Length: 0x2'], '{}'),
  'a length beyond numbers': post(['Content-Length: 99999999999999999999999'], '{}'),
  'a coding that is not known': post(['Transfer-Encoding: xchunked'], `0\r\n\r\n${GET}`),
  'chunks and another coding': post(['Transfer-Encoding: gzip, chunked'], `2\r\n{}\r\n0\r\n\r\n`),
  'chunks, then no coding': post(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], `0\r\n\r\n${GET}`),
  'a space before a colon': post(['Transfer-Encoding : chunked'], `0\r\n\r\n${GET}`),
  'a vertical tab before a value': post(['Transfer-Encoding: \x0bchunked'], `0\r\n\r\n${GET}`),
  'a header folded over two lines': post(['Transfer-Encoding:\r\n chunked'], `0\r\n\r\n${GET}`),
  'any header folded': request('GET /v1/store HTTP/1.1', ['X-A: a\r\n b']),
  'a header ended by a line feed alone': post(['X-A: a\nTransfer-Encoding: chunked'], `0\r\n\r\n${GET}`),
  'lines ended by line feeds alone': GET.replaceAll('\r', ''),
  'a chunk extension ended by a line feed': chunked('2;a\n{}\r\n0\r\n\r\n'),
  'a chunk extension without end': chunked(`2;${'a'.repeat(1_000_000)}\r\n{}\r\n0\r\n\r\n`),
  'a chunk of no size': chunked('zz\r\n{}\r\n0\r\n\r\n'),
  'a chunk in hexadecimal twice over': chunked('0x2\r\n{}\r\n0\r\n\r\n'),
  'a chunk below nothing': chunked('-1\r\n{}\r\n0\r\n\r\n'),
  'a chunk beyond numbers': chunked('ffffffffffffffffff\r\n{}\r\n0\r\n\r\n'),
  'a chunk longer than it says': chunked(`2\r\n{}${GET}\r\n0\r\n\r\n`),
  'a chunk shorter than it says': chunked(`20\r\n{}\r\n0\r\n\r\n${GET}`),
  'a NUL in a header': request('GET /v1/store HTTP/1.1', ['X-A: a\0b']),
  'a carriage return in a header': request('GET /v1/store HTTP/1.1', ['X-A: a\rX-B: b']),
  'a header without a name': request('GET /v1/store HTTP/1.1', [': a']),
  'a header without a colon': request('GET /v1/store HTTP/1.1', ['nonsense']),
  'no host': 'GET /v1/store HTTP/1.1\r\n\r\n',
  'two hosts': request('GET /v1/store HTTP/1.1', ['Host: evil.example']),
})

/** What is no request of HTTP/1.1, or not one for us. */
const STRANGE: Attack[] = [
  ...attack(MALFORMED, {
    'a NUL in the address': request('GET /v1/st\0ore HTTP/1.1'),
    'bytes beyond ASCII in the address': request('GET /v1/\xff\xfe HTTP/1.1'),
    'a space in the address': request('GET /v1/store x HTTP/1.1'),
    'an address without a slash': request('GET v1/store HTTP/1.1'),
    'an address that cannot be decoded': request('GET /v1/store?%zz HTTP/1.1'),
    'HTTP/0.9, said': 'GET /v1/store HTTP/0.9\r\n\r\n',
    'HTTP/0.9, unsaid': 'GET /v1/store\r\n\r\n',
    'HTTP/2.0': request('GET /v1/store HTTP/2.0'),
    'HTTP/9.9': request('GET /v1/store HTTP/9.9'),
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'the hello of TLS': Buffer.from('16030102000100010001fc0303000000', 'hex'),
    'bytes by chance': Buffer.from(Array.from({ length: 4_000 }, (_, index) => (index * 7_919 + 13) % 256)),
    'a method that nobody knows': request('FOO /v1/store HTTP/1.1'),
    'an expectation that nobody knows': post(['Expect: miracles', 'Content-Length: 2'], '{}'),
  }),
  ...attack([[431]], {
    '100 000 headers': request('GET /v1/store HTTP/1.1', Array(100_000).fill('a: b')),
    'a header of 1 MB': request('GET /v1/store HTTP/1.1', [`X-A: ${'a'.repeat(1_000_000)}`]),
    'a header with a name of 1 MB': request('GET /v1/store HTTP/1.1', [`${'a'.repeat(1_000_000)}: b`]),
    'a request line of 1 MB': request(`GET /v1/store?${'a'.repeat(1_000_000)} HTTP/1.1`),
    'a method of 1 MB': request(`${'A'.repeat(1_000_000)} /v1/store HTTP/1.1`),
  }).map((one) => (one.why.startsWith('a method') ? { ...one, answers: MALFORMED } : one)),
  ...attack([[404]], {
    'an address at another scheme': request('GET ftp://evil.example/v1/store HTTP/1.1'),
    'an address with two slashes': request('GET //evil.example/v1/store HTTP/1.1'),
    'an address with dots': request('GET /v1/../v1/store HTTP/1.1'),
    'options of everything': request('OPTIONS * HTTP/1.1'),
  }),
  ...attack([[405]], {
    TRACE: request('TRACE /v1/store HTTP/1.1', ['X-Secret: secret']),
    CONNECT: 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n',
    PUT: request('PUT /v1/store HTTP/1.1', [JSON_BODY, 'Content-Length: 2'], '{}'),
    PROPFIND: request('PROPFIND /v1/store HTTP/1.1'),
  }),
  ...attack([[200]], {
    'an address with our host': request('GET http://evil.example/v1/store HTTP/1.1'),
    'a range': request('GET /v1/store HTTP/1.1', ['Range: bytes=0-1,5-9999999999,-1']),
    'a change to a WebSocket': request('GET /v1/store HTTP/1.1', [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]),
    'a change to HTTP/2': request('GET /v1/store HTTP/1.1', [
      ...['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'],
    ]),
    'a GET with a request for a body': request(`GET /v1/store HTTP/1.1`, [`Content-Length: ${GET.length}`], GET),
    'HTTP/1.0': 'GET /v1/store HTTP/1.0\r\n\r\n',
  }),
  ...attack([[201]], {
    'a chunk extension': chunked('2;a=b\r\n{}\r\n0\r\n\r\n'),
    'a trailer that is a header': chunked('2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\nHost: evil.example\r\n\r\n'),
    'a hundred small chunks': chunked(`${'1\r\n \r\n'.repeat(100)}2\r\n{}\r\n0\r\n\r\n`),
    'a wait to be told to go on': post(['Expect: 100-continue', 'Content-Length: 2'], '{}'),
  }),
]

/** Several requests at once, of which one is none, or is answered before it has ended. */
const PIPELINED: Attack[] = [
  ...attack(Array(3).fill([200]), { 'three at once': GET.repeat(3) }),
  ...attack(Array(500).fill([200]), { 'five hundred at once': GET.repeat(500) }),
  ...attack([[200], [400]], { 'one, then none': `${GET}nonsense\r\n\r\n` }),
  ...attack([[201], [400]], { 'one that is done, then none': `${posted('{}')}nonsense\r\n\r\n` }),
  ...attack([[201], [200], [400]], { 'two, then none': `${posted('{}')}${GET}nonsense\r\n\r\n${GET}` }),
  ...attack([[401], [200]], {
    'one refused before its body, then one': `${posted('{}').replace('/carts', '/products')}${GET}`,
    'one refused before its 2 MB, then one': `${posted('x'.repeat(2_000_000)).replace('/carts', '/products')}${GET}`,
  }),
  ...attack([[413], [200]], {
    'one too large, then one': `${posted('x'.repeat(2_000_000))}${GET}`,
    'one too large in chunks, then one': `${chunked(`1e8480\r\n${'x'.repeat(2_000_000)}\r\n0\r\n\r\n`)}${GET}`,
  }),
  ...attack([[413]], {
    'one too large that waits to be told': post(['Expect: 100-continue', 'Content-Length: 20000000'], ''),
    'one that says it is endless': post(['Content-Length: 9007199254740991'], GET),
  }),
  ...attack([[400]], { 'one whose body is none, then one': `${chunked('zz\r\n')}${GET}` }),
]

/** Requests that do not end; `limitMs` is how long one may take. */
export const slowAttacks = (limitMs: number): Attack[] => {
  const slow = (all: Readonly<Record<string, () => Sending>>, answers: Attack['answers']): Attack[] =>
    Object.entries(all).map(([why, bytes]) => ({ why, bytes, answers, patienceMs: limitMs + SPARE_MS }))
  return [
    ...slow(
      {
        'a connection that says nothing': () => '',
        'HTTP/0.9, unsaid': () => 'GET /v1/store\r\n',
        'half a head': () => `POST /v1/carts HTTP/1.1\r\n${HOST}\r\nContent-Ty`,
        'half a body': () => post(['Content-Length: 200'], '{"a"'),
        'half a chunk': () => chunked('200\r\n{"a"'),
        'a head, byte by byte': () => dripped(GET, limitMs),
        'a body, byte by byte': () => dripped(' '.repeat(10_000), limitMs, post(['Content-Length: 20000'], '')),
      },
      [[408]],
    ),
    ...slow(
      {
        'a refused request whose body never comes': () =>
          posted('x'.repeat(50)).replace('/carts', '/products').slice(0, -20),
      },
      [[401]],
    ),
  ]
}

async function* dripped(text: string, forMs: number, before = ''): AsyncGenerator<string> {
  const until = Date.now() + forMs + SPARE_MS
  yield before
  for (const byte of text) {
    if (Date.now() > until) return
    yield byte
    await pause(250)
  }
}

/** Requests whose sender goes away in the middle, and answers that nobody waits for. */
const ABORTED: Attack[] = attack([], {
  'a head, and nobody any more': GET.slice(0, -4),
  'an upload, and nobody any more': post(['Content-Length: 900000'], 'x'.repeat(500_000)),
  'an upload in chunks, and nobody any more': chunked(`f4240\r\n${'x'.repeat(500_000)}`),
  'a command, and nobody any more': posted('{}'),
  'a hundred requests, and nobody any more': GET.repeat(100),
})

/** All that are answered at once, if at all. */
export const ATTACKS: readonly Attack[] = [...SMUGGLED, ...STRANGE, ...PIPELINED, ...ABORTED]
