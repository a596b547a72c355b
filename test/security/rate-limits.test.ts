import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Actor } from '#platform/db/work.ts'
import { networkOf } from '#platform/http/address.ts'
import { DEFAULT_LIMITS, SERVER_TIMES } from '#platform/http/limits.ts'
import { originsOf } from '#platform/http/origins.ts'
import { makeServer } from '#platform/http/server.ts'
import { type Opened, type PayableShop, payableShop } from '../contexts/payments/shop.ts'
import { limitsHere } from '../kit/limits.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

type From = { readonly address?: string; readonly headers?: Record<string, string> }

/** A tiny server whose callers are named by their token, with one limit per kind. */
async function server(trustedProxies: string[] = []) {
  const lines: Record<string, unknown>[] = []
  const seen: Actor[] = []
  const log = { warn: (line: object) => lines.push({ ...line }), info() {}, error() {}, child: () => log }
  const app = await makeServer({
    production: true,
    log: log as never,
    metrics: { observe() {}, shed() {} },
    waitedMs: () => 0,
    limits: limitsHere(),
    authenticate: async ({ authorization, address }) => {
      const [, kind = 'guest', id = null] = /^Bearer (\w+) (\w+)$/.exec(authorization ?? '') ?? []
      const permissions = new Set(['things:read', 'things:write'])
      if (kind === 'server') return { kind, userId: null, apiKeyId: id as never, address, permissions }
      return { kind: kind as 'customer', userId: id as never, address, permissions }
    },
    origins: originsOf({
      production: true,
      corsOrigins: ['https://shop.example'],
      publicUrl: 'https://api.example',
      storefrontUrl: 'https://api.example',
    }),
    trustedProxies,
    bodyLimitBytes: 2_048,
    requestTimeoutMs: 2_000,
    drainMs: 0,
  })
  const at = (
    url: string,
    limits: object[] | undefined,
    method: 'GET' | 'POST' = 'POST',
    permission = 'things:write',
  ) =>
    app.route({
      method,
      url,
      config: { permission, ...(limits ? { limits: limits as never } : {}) },
      handler: async ({ actor }) => {
        seen.push(actor)
        return {}
      },
    })
  at('/address', [{ name: 'by-address', per: 'address', points: 3, seconds: 60 }])
  at('/account', [{ name: 'by-account', per: 'account', points: 3, seconds: 60 }])
  at('/caller', [{ name: 'by-caller', per: 'caller', points: 3, seconds: 60 }])
  at('/both', [
    { name: 'wide', per: 'address', points: 5, seconds: 60 },
    { name: 'narrow', per: 'caller', points: 2, seconds: 60 },
  ])
  at('/write', undefined)
  at('/read', undefined, 'GET', 'things:read')
  at('/public', undefined, 'GET', 'public')
  await app.ready()
  const post = (url: string, { address = '203.0.113.1', headers = {} }: From = {}, method: 'GET' | 'POST' = 'POST') =>
    app.inject({ method, url, remoteAddress: address, headers } satisfies InjectOptions)
  /** How many of ten requests are answered with 200. */
  const allowed = async (url: string, from: (index: number) => From) => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => post(url, from(index))))
    expect(answers.filter(({ statusCode }) => statusCode !== 200 && statusCode !== 429)).toEqual([])
    return answers.filter(({ statusCode }) => statusCode === 200).length
  }
  return { app, at, post, allowed, lines, seen }
}
const bearer = (text: string) => ({ authorization: `Bearer ${text}` })

describe('who is counted', () => {
  test('per address: each IPv4 address, each IPv6 /64', async () => {
    const { app, allowed } = await server()
    expect(await allowed('/address', () => ({}))).toBe(3)
    expect(await allowed('/address', (index) => ({ address: `203.0.113.${10 + index}` }))).toBe(10)
    expect(await allowed('/address', (index) => ({ address: `2001:db8:1:2::${index}` }))).toBe(3)
    expect(await allowed('/address', (index) => ({ address: `2001:db8:1:${10 + index}::1` }))).toBe(10)
    await app.close()
  })

  test('per account: wherever it comes from; guests have no such limit', async () => {
    const { app, allowed } = await server()
    const from = (index: number) => ({ address: `203.0.113.${index}`, headers: bearer('customer usr_a') })
    expect(await allowed('/account', from)).toBe(3)
    expect(await allowed('/account', () => ({ headers: bearer('customer usr_b') }))).toBe(3)
    expect(await allowed('/account', () => ({}))).toBe(10)
    await app.close()
  })

  test('per caller: an account wherever it comes from, a guest by address', async () => {
    const { app, allowed } = await server()
    expect(await allowed('/caller', () => ({}))).toBe(3)
    expect(await allowed('/caller', () => ({ headers: bearer('customer usr_a') }))).toBe(3)
    expect(await allowed('/caller', (index) => ({ headers: bearer(`customer usr_${index}c`) }))).toBe(10)
    await app.close()
  })

  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:DB8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:ffff::', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['unknown', 'unknown'],
  ])('%s is counted as %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})

describe('a forged address gains nothing', () => {
  test('X-Forwarded-For is not believed', async () => {
    const { app, allowed } = await server()
    expect(await allowed('/address', (index) => ({ headers: { 'x-forwarded-for': `198.51.100.${index}` } }))).toBe(3)
    await app.close()
  })

  test('behind a trusted proxy what it saw counts, not what the client wrote before it', async () => {
    const { app, allowed } = await server(['10.0.0.1'])
    const proxied = (chain: (index: number) => string) => (index: number) => ({
      address: '10.0.0.1',
      headers: { 'x-forwarded-for': chain(index) },
    })
    expect(
      await allowed(
        '/address',
        proxied((index) => `198.51.100.${index}`),
      ),
    ).toBe(10)
    expect(
      await allowed(
        '/address',
        proxied((index) => `198.51.100.${index}, 192.0.2.1`),
      ),
    ).toBe(3)
    expect(
      await allowed('/address', (index) => ({
        address: '203.0.113.7',
        headers: { 'x-forwarded-for': `198.51.100.${index}` },
      })),
    ).toBe(3)
    await app.close()
  })

  test('X-Buyer-IP is ignored from anyone but a server key', async () => {
    const { app, allowed, seen } = await server()
    const forged = (index: number) => ({ 'x-buyer-ip': `198.51.100.${index}` })
    expect(await allowed('/address', (index) => ({ headers: forged(index) }))).toBe(3)
    for (const kind of ['customer usr_a', 'staff usr_b'])
      expect(await allowed('/caller', (index) => ({ headers: { ...bearer(kind), ...forged(index) } }))).toBe(3)
    expect(new Set(seen.map(({ address }) => address))).toEqual(new Set(['203.0.113.1']))
    await app.close()
  })
})

describe('X-Buyer-IP of a server key', () => {
  const key = bearer('server key1')

  test('names the shopper, for the limits and as the address of what is done', async () => {
    const { app, allowed, seen } = await server()
    const shopper = (address: string) => ({ headers: { ...key, 'x-buyer-ip': address } })
    expect(await allowed('/address', () => shopper('198.51.100.1'))).toBe(3)
    expect(await allowed('/caller', () => shopper('198.51.100.1'))).toBe(3)
    expect(await allowed('/address', (index) => shopper(`198.51.100.${10 + index}`))).toBe(10)
    expect(seen[0]).toMatchObject({ kind: 'server', address: '198.51.100.1' })
    await app.close()
  })

  test('is an IP address, or the request is refused', async () => {
    const { app, post, seen } = await server()
    for (const given of ['', 'localhost', '198.51.100.1, 10.0.0.1', '198.51.100.1:80', '999.1.1.1']) {
      const { statusCode, body } = await post('/address', { headers: { ...key, 'x-buyer-ip': given } })
      expect([statusCode, JSON.parse(body).errors?.[0].pointer]).toEqual([400, '/headers/x-buyer-ip'])
    }
    expect(seen).toEqual([])
    await app.close()
  })

  test('without it a key acts for many: it has ten times the points, wherever it comes from', async () => {
    const { app, post } = await server()
    const from = (index: number) => ({ address: `203.0.113.${index % 200}`, headers: key })
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => post('/caller', from(index))))
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(3 * SERVER_TIMES)
    expect(answers[0]!.headers['ratelimit-policy']).toBe(`"by-caller";q=${3 * SERVER_TIMES};w=60`)
    await app.close()
  })
})

describe('what is answered', () => {
  test('RateLimit and RateLimit-Policy on every answer; 429 is a problem with Retry-After that names the limit', async () => {
    const { app, post } = await server()
    const first = await post('/both')
    expect(first.headers).toMatchObject({
      'ratelimit-policy': '"wide";q=5;w=60, "narrow";q=2;w=60',
      ratelimit: '"wide";r=4;t=60, "narrow";r=1;t=60',
    })
    await post('/both')
    const refused = await post('/both', { headers: { origin: 'https://shop.example' } })
    expect(refused.statusCode).toBe(429)
    expect(refused.headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'retry-after': '60',
      ratelimit: '"wide";r=2;t=60, "narrow";r=0;t=60',
      'access-control-allow-origin': 'https://shop.example',
    })
    expect(String(refused.headers['access-control-expose-headers'])).toMatch(/RateLimit, RateLimit-Policy/)
    expect(refused.json()).toMatchObject({ code: 'platform.rate-limited', status: 429, limit: 'narrow' })
    expect(refused.body).not.toContain('203.0.113')
    await app.close()
  })

  test('HEAD counts with GET; public reads are not limited, writes and other reads are, by the defaults', async () => {
    const { app, post } = await server()
    expect((await post('/public', {}, 'GET')).headers['ratelimit-policy']).toBeUndefined()
    const [reads, writes] = [DEFAULT_LIMITS.reads[0], DEFAULT_LIMITS.writes[0]]
    await app.inject({ method: 'HEAD', url: '/read', remoteAddress: '203.0.113.1' })
    const read = await post('/read', {}, 'GET')
    expect(read.headers['ratelimit-policy']).toBe(`"reads";q=${reads.points};w=60`)
    expect(read.headers.ratelimit).toBe(`"reads";r=${reads.points - 2};t=60`)
    expect((await post('/write')).headers['ratelimit-policy']).toBe(`"writes";q=${writes.points};w=60`)
    await app.close()
  })

  test('one name has one set of numbers, or the server refuses to boot', async () => {
    const { app } = await server()
    await app.close()
    const other = await makeServerWith({ points: 3 }, { points: 3 })
    await other.close()
    await expect(makeServerWith({ points: 3 }, { points: 4 })).rejects.toThrow('different numbers')
  })

  test('Logs: each refusal is one line with limit, route, actor and request, and no address', async () => {
    const { app, allowed, lines } = await server()
    expect(await allowed('/caller', () => ({ headers: bearer('customer usr_a') }))).toBe(3)
    const said = lines.filter(({ limit }) => limit === 'by-caller')
    expect(said).toHaveLength(7)
    expect(said[0]).toEqual({
      limit: 'by-caller',
      requestId: expect.stringMatching(/^[\w-]{36}$/),
      route: '/caller',
      actor: 'customer',
      actorId: 'usr_a',
    })
    await app.close()
  })
})

async function makeServerWith(...all: { points: number }[]) {
  const log = { warn() {}, info() {}, error() {}, child: () => log }
  const app = await makeServer({
    ...{ production: true, log: log as never, limits: limitsHere() },
    ...{ metrics: { observe() {}, shed() {} }, waitedMs: () => 0 },
    ...{
      origins: originsOf({
        production: true,
        corsOrigins: [],
        publicUrl: 'https://api.example',
        storefrontUrl: 'https://api.example',
      }),
      trustedProxies: [],
      bodyLimitBytes: 2_048,
      requestTimeoutMs: 2_000,
      drainMs: 0,
    },
    authenticate: async ({ address }) => ({ kind: 'guest', userId: null, address, permissions: new Set() }),
  })
  for (const [index, { points }] of all.entries())
    app.post(
      `/${index}`,
      { config: { permission: 'public', limits: [{ name: 'shared', per: 'address', points, seconds: 60 }] } },
      async () => ({}),
    )
  return app
}

describe('Anti-automation: each flow of the shop has its limit', () => {
  let shop: TestShop
  beforeAll(async () => {
    shop = await testShop({ RATE_LIMITS: 'on', LOG_LEVEL: 'silent' })
  })
  afterAll(() => shop?.close())
  let address = 0
  beforeEach(() => {
    address += 1
  })
  const send = (method: 'GET' | 'POST', url: string, payload?: object, headers: Record<string, string> = {}) =>
    shop.app.http.inject({
      method,
      url,
      remoteAddress: `203.0.113.${address}`,
      headers: { 'idempotency-key': crypto.randomUUID(), ...headers },
      ...(payload ? { payload } : {}),
    })
  const statuses = async (count: number, one: () => Promise<{ statusCode: number }>) => {
    const counts = new Map<number, number>()
    for (const { statusCode } of await Promise.all(Array.from({ length: count }, one)))
      counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1)
    return Object.fromEntries(counts)
  }

  test.each([
    ['refreshing', '/v1/auth/refresh', { refreshToken: 'x' }, 100, 401],
    ['registering', '/v1/auth/register', { email: 'a@b.example', password: 'password' }, 30, 422],
    ['placing orders', '/v1/orders', { cartId: 'cart_01jd2zq8k5e6v9w3x7y2m4n6p8' }, 60, 404],
    ['paying', '/v1/payments/pay_01jd2zq8k5e6v9w3x7y2m4n6p8/attempts', { method: 'sandbox', token: 'tok_ok' }, 60, 404],
  ])('%s', async (_what, url, body, points, status) => {
    expect(await statuses(points + 20, () => send('POST', url, body))).toEqual({ [status]: points, 429: 20 })
  })

  test('Brute force: an IPv6 subscriber has one address, however many of the /64 are used', async () => {
    const guess = (index: number) =>
      shop.app.http.inject({
        method: 'POST',
        url: '/v1/auth/login',
        remoteAddress: `2001:db8:7:7::${index + 1}`,
        payload: { email: 'ann@example.com', password: `guess number ${index}` },
      })
    const answers: string[] = []
    for (let index = 0; index < 13; index++) answers.push((await guess(index)).json().code)
    expect(answers.slice(0, 9)).toEqual(Array(9).fill('users.wrong-credentials'))
    expect(answers.slice(11)).toEqual(Array(2).fill('users.too-many-attempts'))
  })

  test('registering a known address again and again mails its holder five times an hour, and says the same each time', async () => {
    const email = 'known-often@shop.example'
    const register = (index: number, to = email) =>
      shop.app.http.inject({
        method: 'POST',
        url: '/v1/auth/register',
        remoteAddress: `198.51.101.${index}`,
        payload: { email: index % 2 ? to : to.toUpperCase(), password: 'ninety-one quiet lanterns drift' },
      })
    for (let index = 0; index < 9; index++) {
      const answer = await register(index)
      expect([answer.statusCode, answer.json().email.toLowerCase()]).toEqual([201, email])
    }
    await shop.app.settle()
    await shop.app.runJobs()
    const mails = (await shop.app.http.inject('/dev/mailbox.json'))
      .json()
      .filter(({ to }: { to: string }) => to.toLowerCase() === email)
    expect(mails).toHaveLength(5)
  })

  test('mail that anybody can ask for in somebody’s name reaches them five times an hour, whoever asks from wherever', async () => {
    const email = 'often@shop.example'
    const password = 'ninety-one quiet lanterns drift'
    expect((await send('POST', '/v1/auth/register', { email, password })).statusCode).toBe(201)
    const ask = (index: number) =>
      shop.app.http.inject({
        method: 'POST',
        url: '/v1/auth/forgot-password',
        remoteAddress: `198.51.100.${index}`,
        payload: { email: index % 2 ? email : email.toUpperCase() },
      })
    for (let index = 0; index < 9; index++) {
      const answer = await ask(index)
      expect([answer.statusCode, answer.json().email.toLowerCase()]).toEqual([202, email])
      await shop.app.settle()
    }
    await shop.app.runJobs()
    const mails: { to: string; subject: string }[] = (await shop.app.http.inject('/dev/mailbox.json')).json()
    const subjects = mails.filter(({ to }) => to === email).map(({ subject }) => subject)
    expect(subjects.filter((subject) => /password/i.test(subject))).toHaveLength(4)
    expect(subjects).toHaveLength(5)
  })

  test('X-Buyer-IP: an API key names its shopper, who is limited as if they had come themselves', async () => {
    const made = await shop.send(
      'POST',
      '/v1/api-keys',
      { name: 'Shop', permissions: ['orders:read'] },
      await shop.asOwner(),
    )
    expect(made.status).toBe(201)
    const key = { authorization: `Bearer ${made.body.secret}` }
    const policy = async (headers: Record<string, string>) =>
      (await send('POST', '/v1/carts', {}, headers)).headers['ratelimit-policy']
    expect(await policy(key)).toBe('"writes";q=6000;w=60')
    expect(await policy({ ...key, 'x-buyer-ip': '198.51.100.200' })).toBe('"writes";q=600;w=60')
    const direct = await shop.app.http.inject({
      method: 'POST',
      url: '/v1/carts',
      remoteAddress: '198.51.100.200',
      payload: {},
    })
    expect(direct.headers.ratelimit).toBe('"writes";r=598;t=60')
  })

  test('what the catalogue shows to all, and what providers report, is never turned away', async () => {
    for (const url of ['/v1/products', '/v1/categories', '/v1/store', '/health', '/metrics', '/openapi.json']) {
      const answer = await send('GET', url)
      expect([url, answer.statusCode, answer.headers.ratelimit]).toEqual([url, 200, undefined])
    }
    const webhook = await send('POST', '/v1/payments/webhook/sandbox', {})
    expect([webhook.statusCode, webhook.headers.ratelimit]).toEqual([400, undefined])
  })

  test('the API’s document says 429 where there are limits, and nowhere else', async () => {
    const { paths } = (await send('GET', '/openapi.json')).json()
    expect(paths['/v1/carts'].post.responses['429'].description).toContain('platform.rate-limited')
    expect(Object.keys(paths['/v1/carts'].post.responses['429'].headers)).toEqual([
      'Retry-After',
      'RateLimit',
      'RateLimit-Policy',
    ])
    expect(paths['/v1/products'].get.responses['429']).toBeUndefined()
  })
})

describe('Anti-automation: card testing', () => {
  let payable: PayableShop
  beforeAll(async () => {
    payable = await payableShop({}, { RATE_LIMITS: 'on' })
  })
  afterAll(() => payable?.close())
  /** What the provider knows, each attempt it heard of included. */
  const charges = () => payable.sandbox.ledger().payments
  const attemptFrom = (address: string, { id, token: proof }: Opened, token: string) =>
    payable.shop.app.http.inject({
      method: 'POST',
      url: `/v1/payments/${id}/attempts`,
      remoteAddress: address,
      headers: { 'idempotency-key': crypto.randomUUID(), 'x-order-token': proof },
      payload: { method: 'sandbox', token },
    })

  test('after ten declines an order is tried no more: the provider is not even called', async () => {
    const payment = await payable.openPayment()
    for (let declined = 0; declined < 10; declined++)
      expect((await payable.attempt(payment, 'tok_declined')).body.status).toBe('declined')
    const before = charges()
    for (const token of ['tok_declined', 'tok_ok']) {
      const refused = await payable.attempt(payment, token)
      expect([refused.status, refused.body.code]).toEqual([429, 'payments.too-many-declines'])
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(3_000)
    }
    expect(charges()).toEqual(before)
  })

  test('attempts that are not declined count for nothing', async () => {
    const pay = async () => {
      const payment = await payable.openPayment()
      return (await attemptFrom('198.51.100.78', payment, 'tok_ok')).statusCode
    }
    for (let batch = 0; batch < 2; batch++)
      expect(new Set(await Promise.all(Array.from({ length: 20 }, pay)))).toEqual(new Set([201]))
  })

  test('after thirty declines an address is done too, though each order is new and all come at once', async () => {
    const payments = await Promise.all(Array.from({ length: 40 }, () => payable.openPayment()))
    const answers = await Promise.all(payments.map((payment) => attemptFrom('198.51.100.77', payment, 'tok_declined')))
    expect(answers.filter(({ statusCode }) => statusCode === 201)).toHaveLength(30)
    expect(answers.filter(({ statusCode }) => statusCode === 429)).toHaveLength(10)
  })
})
