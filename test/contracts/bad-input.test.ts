import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cursorAfter } from '#kernel/page.ts'
import { audit } from '#src/audit/audit.ts'
import { type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { makeRequests, type Requests, type Schema } from './requests.ts'

/** More of both is the same test for longer: `BAD_INPUT_VALID=200 BAD_INPUT_SEED=7`. */
const SEED = Number(process.env.BAD_INPUT_SEED ?? 1)
const VALID = Number(process.env.BAD_INPUT_VALID ?? 12)
const LIMIT_MS = 1_000

type Content = Readonly<Record<string, { readonly schema: Schema }>>
type Operation = {
  readonly operationId: string
  readonly method: Method
  readonly path: string
  readonly parameters?: readonly { in: string; name: string; required?: boolean; schema: Schema }[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
type Ask = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload?: string | Buffer
}
type Problem = { readonly properties?: { readonly code?: { readonly enum?: readonly string[] } } }

let buying: Buying
let operations: readonly Operation[]
let requests: Requests
let asOwner: Record<string, string>
let asGuest: Record<string, string>

beforeAll(async () => {
  buying = await openForBuying()
  const { shop } = buying
  const sku = 'MUG-1'
  const variants = [await buying.aVariant({ sku, onHand: 900 }), await buying.aVariant({ onHand: 900 })]
  const goods = variants.map((variantId) => ({ variantId, quantity: 2 }))
  const [cart, pending, paid] = [
    await buying.aCart(goods),
    await buying.placed(await buying.aCart(goods)),
    await buying.placed(await buying.aCart(goods)),
  ]
  await buying.pay(paid)
  await shop.app.settle()
  await buying.staff('support')
  asGuest = { 'x-cart-token': cart.token, 'x-order-token': pending.token }
  asOwner = await buying.asOwner()
  const { body: people } = await buying.send('GET', '/v1/users', undefined, asOwner)
  const { body: products } = await buying.send('GET', '/v1/products')
  const orders = [pending, paid]
  const { body: document } = await buying.send('GET', '/openapi.json')
  requests = makeRequests(
    document.components.schemas,
    {
      var: variants,
      prod: products.data.map(({ id }: { id: string }) => id),
      cart: [cart.id, pending.cart.id],
      item: orders.flatMap(({ body }) => body.items.map(({ id }: { id: string }) => id)),
      ord: orders.map(({ id }) => id),
      pay: orders.map(({ body }) => body.payment.id),
      usr: people.data
        .filter(({ roles }: { roles: string[] }) => !roles.includes('owner'))
        .map(({ id }: { id: string }) => id),
    },
    {
      sku: [sku],
      method: ['sandbox'],
      token: ['tok_ok', 'tok_declined', 'tok_error'],
      currency: ['USD', 'EUR'],
      countryCode: ['GB', 'US'],
      shippingMethod: ['standard'],
      location: ['main'],
      idOrHandle: products.data.map(({ handle }: { handle: string }) => handle),
      email: ['ann@example.com'],
      provider: ['sandbox'],
    },
    SEED,
  )
  operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      path,
      method: method.toUpperCase() as Method,
    })),
  )
})
afterAll(() => buying?.close())

const json = (value: unknown) => JSON.stringify(value)
const isJson = ({ requestBody }: Operation) => requestBody?.content['application/json'] !== undefined
const bodySchema = ({ requestBody }: Operation): Schema => requestBody?.content['application/json']?.schema ?? {}
const needsKey = ({ parameters = [] }: Operation) => parameters.some(({ name }) => name === 'Idempotency-Key')

const made = new Map<string, unknown[]>()

/** Values for a parameter, or the body, of an operation; always the same ones. */
function values({ operationId }: Operation, schema: Schema, name: string): unknown[] {
  const key = `${operationId} ${name}`
  const known = made.get(key) ?? requests.valid(schema, Math.max(VALID, 5), name)
  made.set(key, known)
  return known
}

/** A request that fits the document, with other ids, values and parameters for each index. */
function soundAsk(operation: Operation, index: number, as: Record<string, string>): Ask {
  const { parameters = [], method, path } = operation
  const pick = (schema: Schema, name: string) => String(values(operation, schema, name)[index])
  const inQuery = parameters.filter(
    (one) => one.in === 'query' && (index + one.name.length) % 3 === 0 && one.name !== 'cursor',
  )
  const query = inQuery.map(
    ({ name, schema }) => `${encodeURIComponent(name)}=${encodeURIComponent(pick(schema, name))}`,
  )
  const url = parameters
    .filter((one) => one.in === 'path')
    .reduce((url, { name, schema }) => url.replace(`{${name}}`, encodeURIComponent(pick(schema, name))), path)
  return {
    url: query.length > 0 ? `${url}?${query.join('&')}` : url,
    headers: {
      ...as,
      ...(method === 'GET' ? {} : { 'idempotency-key': randomUUID(), 'if-match': `"${(index % 4) + 1}"` }),
      ...(isJson(operation) ? { 'content-type': 'application/json' } : {}),
    },
    ...(isJson(operation) ? { payload: json(values(operation, bodySchema(operation), 'body')[index]) } : {}),
  }
}

/** Sends it, and says what of the answer the document does not; an answer that came late is asked for once more. */
async function answered(operation: Operation, { url, headers, payload }: Ask) {
  const send = async () => {
    const start = performance.now()
    const { method } = operation
    const answer = await buying.shop.app.http.inject({
      method,
      url,
      headers,
      ...(payload === undefined ? {} : { payload }),
    })
    return { answer, ms: performance.now() - start }
  }
  const first = await send()
  const { answer, ms } = first.ms < LIMIT_MS ? first : await send()
  const type = String(answer.headers['content-type'] ?? '')
  const documented = operation.responses[answer.statusCode]
  const problem = documented?.content?.['application/problem+json']?.schema as
    | { allOf?: readonly Problem[] }
    | undefined
  const codes = problem?.allOf?.flatMap((part) => part.properties?.code?.enum ?? []) ?? []
  const isProblem = answer.statusCode >= 400
  const wrong = [
    ...(answer.statusCode >= 500 ? ['is our fault'] : []),
    ...(documented ? [] : ['is a status that is not documented']),
    ...(isProblem && !/^application\/problem\+json/.test(type) ? [`is ${type}, no problem document`] : []),
    ...(isProblem && !codes.includes(answer.json().code) ? [`${answer.json().code} is not documented`] : []),
    ...(/\.ts:|select |node_modules|postgres/i.test(isProblem ? answer.body : '') ? ['tells of our inside'] : []),
    ...(ms < LIMIT_MS ? [] : [`took ${Math.round(ms)} ms`]),
  ]
  return { status: answer.statusCode, wrong, body: answer.body.slice(0, 300) }
}

type Case = { readonly why: string; readonly ask: Ask; readonly status?: readonly number[] }
const SHAPE = [400] as const
const REFUSED = [400, 404, 422] as const

const DEEP = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
const NO_JSON: readonly [string, string | Buffer, readonly number[]][] = [
  ['an empty body', '', SHAPE],
  ['JSON cut off', '{"a":', SHAPE],
  ['JSON with a comma too many', '{"a":1,}', SHAPE],
  ['not a number', '{"a":NaN}', SHAPE],
  ['a number beyond numbers', '1e400', SHAPE],
  ['minus nothing', '-0', SHAPE],
  ['a list', '[]', SHAPE],
  ['a text', '"a"', SHAPE],
  ['a poisoned prototype', '{"__proto__":{"polluted":true}}', SHAPE],
  ['a poisoned constructor', '{"constructor":{"prototype":{"polluted":true}}}', SHAPE],
  ['no ground', DEEP, SHAPE],
  ['no ground within', `{"a":${DEEP}}`, SHAPE],
  ['no UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]), SHAPE],
  ['two megabytes', `{"a":"${'x'.repeat(2_000_000)}"}`, [413]],
]

/** Every body with one fault, and bodies that are none. */
function badBodies(operation: Operation, as: Record<string, string>): Case[] {
  if (!isJson(operation)) return []
  const sound = soundAsk(operation, 0, as)
  const type = (type: string): Case => ({
    why: `the body is ${type}`,
    ask: { ...sound, headers: { ...sound.headers, 'content-type': type } },
    status: [415],
  })
  return [
    ...requests.faults(bodySchema(operation)).map(({ why, value, status }) => ({
      why: `body: ${why}`,
      ask: { ...sound, payload: json(value) },
      status: [status],
    })),
    ...NO_JSON.map(([why, payload, status]) => ({ why, ask: { ...sound, payload }, status })),
    ...['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'nonsense'].map(type),
  ]
}

const CURSORS = [
  [null],
  [{}],
  [0, ''],
  ['', ''],
  ['\0'],
  ['createdAt', 1e308, 'x'],
  ['-createdAt', 1.5, 'x'],
  ['title', 7, 'x'],
]
const encoded = (...values: unknown[]) => encodeURIComponent(cursorAfter(values as never))

/** Parameters that are unknown, twice, of another type or out of range. */
function badQueries(operation: Operation, as: Record<string, string>): Case[] {
  const sound = soundAsk(operation, 0, as)
  const [path] = sound.url.split('?')
  const inQuery = (operation.parameters ?? []).filter((one) => one.in === 'query')
  const raw: [string, readonly number[]][] = [
    ['isAdmin=true', SHAPE],
    ['__proto__=x', SHAPE],
    ['__proto__[polluted]=x', SHAPE],
    ['constructor[prototype][polluted]=x', SHAPE],
    ['a=%00', REFUSED],
    ['%ff=%ff', SHAPE],
    ...inQuery.flatMap(({ name, schema }): [string, readonly number[]][] => {
      const key = encodeURIComponent(name)
      const value = encodeURIComponent(String(requests.valid(schema, 1, name)[0]))
      const texts = requests.resolve(schema).type === 'string'
      return [
        [`${key}=${value}&${key}=${value}`, SHAPE],
        [`${key}[]=${value}`, SHAPE],
        [`${key}=%00`, REFUSED],
        ...requests
          .faults(schema)
          .filter(({ value }) => typeof value === 'string' && !/\0|\ud800/.test(value) && (texts || value !== ''))
          .map(({ value }): [string, readonly number[]] => [`${key}=${encodeURIComponent(String(value))}`, SHAPE]),
        ...requests
          .faults(schema)
          .filter(({ value }) => !texts && typeof value === 'number')
          .flatMap(({ value }): [string, readonly number[]][] => {
            const { type } = requests.resolve(schema)
            return type === 'boolean' ? [] : [[`${key}=${value}`, SHAPE]]
          }),
        ...(name === 'limit' ? ['0', '101', '-1', '1e400', '1.5', '1000000', 'ten'] : []).map(
          (bad): [string, readonly number[]] => [`limit=${bad}`, SHAPE],
        ),
        ...(name === 'cursor' ? ['', 'nonsense', '%00', btoa('{}'), encoded(), encoded({}), encoded(null)] : []).map(
          (bad): [string, readonly number[]] => [`cursor=${bad}`, REFUSED],
        ),
      ]
    }),
  ]
  return raw.map(([query, status]) => ({ why: `?${query}`, ask: { ...sound, url: `${path}?${query}` }, status }))
}

const ODD = [
  'nonsense',
  '%00',
  '..%2f..%2fetc',
  '%F0%9F%98%80',
  '%D8%A7',
  '%FF',
  '%E0%A4%A',
  "'%20or%201=1--",
  'x'.repeat(190),
  'x'.repeat(3_000),
  '__proto__',
  '%0d%0aset-cookie:a=b',
]

/** Ids that are none; what else they are called by, and what they look like to a router. */
function badPaths(operation: Operation, as: Record<string, string>): Case[] {
  const sound = soundAsk(operation, 0, as)
  const names = (operation.parameters ?? []).filter((one) => one.in === 'path')
  const template = operation.path.split('/')
  return names.flatMap(({ name }) => {
    const place = template.indexOf(`{${name}}`)
    return ODD.map((odd) => {
      const url = sound.url
        .split('?')[0]!
        .split('/')
        .map((part, index) => (index === place ? odd : part))
        .join('/')
      return { why: `${name}: ${odd.slice(0, 40)}`, ask: { ...sound, url }, status: REFUSED }
    })
  })
}

const KEYS = ['', ' ', 'a b', 'é', 'x'.repeat(256), '\u007f', 'x'.repeat(9_000)]
const TOKENS = [
  'Bearer',
  'Bearer ',
  'Bearer a.b.c',
  'Basic YTpi',
  `Bearer ${'x'.repeat(9_000)}`,
  'Bearer eyJhbGciOiJub25lIn0.e30.',
  '😀',
]

/** Keys and proofs that are none. */
function badHeaders(operation: Operation, as: Record<string, string>): Case[] {
  const sound = soundAsk(operation, 0, as)
  const withHeader = (name: string, value: string) => ({ ...sound, headers: { ...sound.headers, [name]: value } })
  return [
    ...(needsKey(operation) ? KEYS : []).map((key) => ({
      why: `Idempotency-Key: ${key.slice(0, 20)}`,
      ask: withHeader('idempotency-key', key),
      status: REFUSED,
    })),
    ...TOKENS.map((token) => ({
      why: `Authorization: ${token.slice(0, 40)}`,
      ask: withHeader('authorization', token),
      status: [401],
    })),
  ]
}

/** What may be refused or not, as long as the document says so. */
function oddRequests(operation: Operation, as: Record<string, string>): Case[] {
  const withHeaders = (index: number, headers: Record<string, string>): Case => {
    const ask = soundAsk(operation, index, as)
    return { why: json(headers).slice(0, 80), ask: { ...ask, headers: { ...ask.headers, ...headers } } }
  }
  const path = soundAsk(operation, 0, as).url.split('?')[0]
  const lists = operation.parameters?.some(({ name }) => name === 'cursor')
  return [
    ...Array.from({ length: VALID }, (_, index) => ({ why: `sound ${index}`, ask: soundAsk(operation, index, as) })),
    ...['', '7', '*', 'W/"1"', '"1', '"99999999999"', '"-1"', '"1e9"'].map((etag) =>
      withHeaders(1, { 'if-match': etag }),
    ),
    ...['', 'x', 'x'.repeat(9_000), '😀', '\0'].map((token) =>
      withHeaders(2, { 'x-cart-token': token, 'x-order-token': token, 'x-request-id': token }),
    ),
    withHeaders(3, { accept: 'image/png', 'accept-language': 'x'.repeat(9_000), 'x-forwarded-for': "';--" }),
    withHeaders(4, { 'if-none-match': '"", W/, ,"', traceparent: '00-0-0-0' }),
    ...(lists ? CURSORS : []).flatMap((cursor) =>
      ['', '&sort=title', '&sort=-price', '&q=mug'].map((more) => ({
        why: `cursor of ${json(cursor)}${more}`,
        ask: { url: `${path}?cursor=${encoded(...cursor)}${more}`, headers: as },
      })),
    ),
    ...(lists ? [1e300, 1e-300, -1, 2 ** 53] : []).map((key) => ({
      why: `cursor at ${key}`,
      ask: { url: `${path}?q=mug&cursor=${encoded('relevance', key, 'x')}`, headers: as },
    })),
    ...(operation.method === 'GET' || isJson(operation)
      ? []
      : NO_JSON.map(([why, payload]) => ({
          why,
          ask: { ...soundAsk(operation, 0, { ...as, 'content-type': 'application/json' }), payload },
        }))),
  ]
}

/** Everything in the books: rows and what is in them. Sessions and answers kept for replays are none. */
async function books(): Promise<unknown> {
  const tables = await buying.rows(sql<{ name: string }>`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_schema in ('users', 'catalog', 'orders', 'payments', 'platform') and table_type = 'BASE TABLE'
      and table_name not in ('sessions', 'receipts') order by 1`)
  const digests = tables.map(
    ({ name }) =>
      sql`select ${name} as name, md5(string_agg(t::text, '' order by t::text)) as digest from ${sql.raw(name)} t`,
  )
  return buying.rows(sql`${sql.join(digests, sql` union all `)}`)
}

async function faultsOf(operation: Operation, cases: readonly Case[]): Promise<string[]> {
  const found: string[] = []
  for (const { why, ask, status } of cases) {
    const { wrong, ...answer } = await answered(operation, ask)
    if (status && !status.includes(answer.status)) wrong.push(`is not ${status.join(' or ')}`)
    if (wrong.length > 0)
      found.push(`${operation.operationId}, ${why}: ${wrong.join(', ')}: ${answer.status} ${answer.body}`)
  }
  return found
}

describe('bad input', () => {
  test('is refused as the document says, and changes nothing', async () => {
    const before = await books()
    const found: string[] = []
    let count = 0
    for (const operation of operations) {
      const cases = [badBodies, badQueries, badPaths, badHeaders].flatMap((make) => make(operation, asOwner))
      found.push(...(await faultsOf(operation, cases)))
      count += cases.length
    }
    expect(found).toEqual([])
    expect(await books()).toEqual(before)
    expect(count).toBeGreaterThan(3_000)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('whatever else is asked, by whomever: only what the document says comes back, and the books are right', async () => {
    const found: string[] = []
    for (const operation of operations) {
      asOwner = await buying.asOwner()
      for (const as of [asGuest, asOwner]) found.push(...(await faultsOf(operation, oddRequests(operation, as))))
    }
    expect(found).toEqual([])
    const { app, clock } = buying.shop
    await app.settle()
    const findings = await audit(app.database.db, { consumers: app.consumers, now: clock.now, all: true })
    expect(findings.filter(({ violations }) => violations.length > 0)).toEqual([])
  })
}, 120_000)
