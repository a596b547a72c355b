import { cursorAfter } from '#kernel/page.ts'

/** Texts that mean something to whatever reads them carelessly: SQL, shells, templates, markup, paths, formats, scripts. */
export const INJECTIONS: readonly string[] = [
  `' or '1'='1' --`,
  `'); drop table orders.orders; --`,
  `"; select pg_sleep(5); --`,
  `1 union all select null, null`,
  `\\'; rollback; --`,
  '%_%',
  '$1 $2 :name ?',
  '$(sleep 5)`sleep 5`|sleep 5',
  '{{7*7}}<%= 7*7 %>#{7*7}',
  `<script>alert(1)</script><img src=x onerror=alert(1)>`,
  `"><svg/onload=alert(1)>`,
  '../../../../etc/passwd',
  'file:///etc/passwd',
  'http://169.254.169.254/latest/meta-data',
  'a\r\nSet-Cookie: a=b\r\n\r\n<html>',
  `=cmd|'/c calc'!A1`,
  '__proto__',
  'constructor.prototype.polluted',
  '{"$gt":""}',
  '*)(uid=*))(|(uid=*',
  '%00%0a%0d%25',
  '\u202eevil\u2066\u200b\ufeff',
  'İıſK\u0345',
  '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u{1f1e9}\u{1f1ea}',
  '\uffff\ufffe\u0001\u001b[31m',
  '\u0301'.repeat(40),
  'NaN',
  'null',
  '-0',
  '1e309',
  '9007199254740993',
  '0x10',
  '١٢٣',
  '2026-02-30T25:61:61Z',
  ' ',
  '',
]

/** Values of every type and size that some field will not expect. */
export const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -0, -1, 1.5, 1e-7, 1e21, 2 ** 31, 2 ** 53, -(2 ** 53), 2 ** 63, 1.797e308],
  ...['', 'x', 'a\0b', '\ud800', '\udc00\ud800', 'x'.repeat(300), 'x'.repeat(70_000), '٣', '1', 'true', 'null'],
  ...[[], {}, [[]], [null], [{}], { a: 1 }, { $ref: '#' }, { toString: 1, valueOf: 1, length: -1 }],
  ...[Array.from({ length: 1_000 }, () => 0), Array.from({ length: 3_000 }, (_, index) => ({ [`k${index}`]: index }))],
]

const within = (open: string, close: string, depth: number, inner = '') =>
  `${open.repeat(depth)}${inner}${close.repeat(depth)}`
const TEN_MEGABYTES = Buffer.alloc(10_485_760, 'x')

/** Bodies that are no JSON, or none that anything takes, and the statuses that refuse them. */
export const BODIES: readonly [why: string, body: string | Buffer, status: readonly number[]][] = [
  ['an empty body', '', [400]],
  ['a space', ' ', [400]],
  ['JSON cut off', '{"a":', [400]],
  ['JSON with a comma too many', '{"a":1,}', [400]],
  ['two values', '{}{}', [400]],
  ['a byte order mark', '\ufeff[]', [400]],
  ['not a number', '{"a":NaN}', [400]],
  ['endless', '{"a":-Infinity}', [400]],
  ['a number beyond numbers', '1e309', [400]],
  ['a number of many digits', `{"a":${'9'.repeat(900_000)}}`, [400]],
  ['minus nothing', '-0', [400]],
  ['nothing', 'null', [400]],
  ['a list', '[]', [400]],
  ['a text', '"a"', [400]],
  ['one key twice, one of them unknown', '{"isAdmin":1,"isAdmin":2}', [400]],
  ['a poisoned prototype', '{"__proto__":{"polluted":true}}', [400]],
  ['a prototype poisoned in disguise', '{"\\u005f_proto__":{"polluted":true}}', [400]],
  ['a poisoned constructor', '{"constructor":{"prototype":{"polluted":true}}}', [400]],
  ['10 000 lists deep', within('[', ']', 10_000), [400]],
  ['10 000 objects deep', within('{"a":', '}', 10_000, '0'), [400]],
  ['half a million lists deep', `{"a":${within('[', ']', 500_000)}}`, [400]],
  ['80 000 properties', `{${Array.from({ length: 80_000 }, (_, index) => `"k${index}":0`).join()}}`, [400]],
  ['a property with a name of 900 kB', `{"${'x'.repeat(900_000)}":0}`, [400]],
  ['a property with half a surrogate pair in its name', '{"\\ud800":0}', [400, 422]],
  ['no UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]), [400]],
  ['UTF-8 longer than it need be', Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x30, 0x7d]), [400]],
  ['UTF-16', Buffer.from('{"a":1}', 'utf16le'), [400]],
  ['two megabytes', `{"a":"${'x'.repeat(2_000_000)}"}`, [413]],
  ['ten megabytes', TEN_MEGABYTES, [413]],
]

/** Content types that no operation takes JSON by; undefined: none at all. */
export const TYPES: readonly string[] = [
  ...['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded'],
  ...['application/octet-stream', 'application/json-seq', 'nonsense', 'application/', '/json', ';', '*/*'],
]

/** Codings that bodies are not taken in. */
export const CODINGS: readonly string[] = ['gzip', 'deflate', 'br', 'zstd', 'gzip, identity', 'x']

/** Queries that no operation takes. */
export const QUERIES: readonly string[] = [
  ...['isAdmin=true', '__proto__=x', '__proto__[polluted]=x', 'constructor[prototype][polluted]=x', '%ff=%ff', 'a=%00'],
  ...[`${'x'.repeat(12_000)}=1`, 'limit[]=1', 'limit[a]=1', 'x&y=&=z', '%', 'a=%zz', '$where=1', 'a;b=c'],
]

/** Numbers as texts that are none, or out of any range. */
export const NUMBERS: readonly string[] = ['1e400', '101', '0', '-1', '1.5', '00', '1_000', 'ten', '1000000', '+1']

const encoded = (...values: unknown[]) => cursorAfter(values as never)

/** Cursors that no list gave. */
export const CURSORS: readonly string[] = [
  ...['', 'nonsense', '\0', btoa('{}'), btoa('['), btoa('%'), btoa('%5B1e999%5D'), 'AAAA====', '-_-_'],
  ...[encoded(), encoded({}), encoded(null), encoded('\0'), encoded([], []), encoded(...Array(9).fill('x'))],
]

/** Cursors as some list may have given them, that lead nowhere. */
export const PLACES: readonly string[] = [
  ...[encoded(0, ''), encoded('', ''), encoded('createdAt', 1e308, 'x'), encoded('-createdAt', 1.5, 'x')],
  ...[encoded('title', 7, 'x'), encoded('x'.repeat(500))],
  ...[1e300, 1e-300, -1, 2 ** 53, 1e18].flatMap((key) => [
    encoded('relevance', key, 'x'),
    encoded('-price', key, 'x'),
    encoded(key),
    encoded(key, 'x'),
  ]),
  ...["' or 1=1 --", '__proto__', '2026-02-30T00:00:00Z', '-infinity', 'epoch', '294277-01-01', '\u{1f468}'].flatMap(
    (text) => [encoded(text), encoded(text, text), encoded('-createdAt', text, text), encoded('title', text, text)],
  ),
]

/** Pieces of an address as they are written in one. */
export const PIECES: readonly string[] = [
  ...[
    'nonsense',
    '%00',
    '..%2f..%2fetc',
    '%F0%9F%98%80',
    '%D8%A7',
    '%FF',
    '%E0%A4%A',
    '%',
    '%25%30%30',
    '%c0%ae%c0%ae',
  ],
  ...[
    "'%20or%201=1--",
    'x'.repeat(190),
    'x'.repeat(3_000),
    '__proto__',
    '%0d%0aset-cookie:a=b',
    '-1',
    '0',
    '1e309',
    'NaN',
  ],
  ...[
    '9007199254740993',
    '99999999999999999999',
    '0:-',
    '999999999999999:orders',
    'ord_',
    'ORD_01JD2ZQ8K5E6V9W3X7Y2M4N6P8',
  ],
  ...['ord_01jd2zq8k5e6v9w3x7y2m4n6p8%00', 'pay_zzzzzzzzzzzzzzzzzzzzzzzzzz', '*', '~', ';a=b', 'a%3Fb', 'a%23b'],
]

/** Idempotency-Keys that are none, and credentials that are none. */
export const KEYS: readonly string[] = ['', ' ', 'a b', 'é', 'x'.repeat(256), '\u007f', 'x'.repeat(9_000), 'a, b', '\t']
export const TOKENS: readonly string[] = [
  ...[
    'Bearer',
    'Bearer ',
    'Bearer a.b.c',
    'Basic YTpi',
    `Bearer ${'x'.repeat(9_000)}`,
    'Bearer eyJhbGciOiJub25lIn0.e30.',
  ],
  ...[
    '😀',
    'bearer x y',
    `Bearer ${'a.'.repeat(2_000)}`,
    "Bearer ' or 1=1 --",
    'Bearer stoa_',
    `Bearer sk_${'0'.repeat(40)}`,
    'null',
  ],
]

/** Headers that a shop front would not send; whether they are refused is for the document to say. */
export const HEADERS: readonly Readonly<Record<string, string>>[] = [
  ...['', '7', '*', 'W/"1"', '"1', '"99999999999"', '"-1"', '"1e9"', '"1-'.padEnd(2_000, 'x')].map((etag) => ({
    'if-match': etag,
  })),
  ...['', 'x', 'x'.repeat(9_000), '😀', '\0', "' or 1=1 --", 'a.b.c'].map((token) => ({
    'x-cart-token': token,
    'x-order-token': token,
    'x-request-id': token,
  })),
  { accept: 'image/png', 'accept-language': 'x'.repeat(9_000), 'x-forwarded-for': "';--", 'x-buyer-ip': '::zz' },
  { 'accept-language': `de;q=${'9'.repeat(400)},*;q=-1,;;,`, accept: '*/*;q=NaN' },
  { 'if-none-match': '"", W/, ,"', traceparent: '00-0-0-0', range: 'bytes=0-1,5-9999999999,-1' },
  { cookie: `stoa_refresh=${'x'.repeat(4_000)}; __proto__=1; =; a="`, origin: 'null', referer: 'javascript:alert(1)' },
  {
    'x-http-method-override': 'DELETE',
    'x-original-url': '/v1/users',
    'x-forwarded-host': 'evil.example',
    forwarded: 'for=_;host="',
  },
]
