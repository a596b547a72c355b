import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allRoutes } from '#platform/http/routes.ts'
import { makeServer } from '#platform/http/server.ts'
import { bearer, peopleOf } from '../contexts/users/people.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

const PUBLIC_URL = 'https://api.stoa.example'
let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop({ PUBLIC_URL })
  people = peopleOf(shop)
  await shop.aProduct('mug')
})
afterAll(() => shop.close())

const get = (url: string, headers: Record<string, string> = {}) => shop.send('GET', url, undefined, headers)

describe('Headers', () => {
  test('CSP, nosniff, no-referrer, no framing, no X-Powered-By or Server: on every kind of answer', async () => {
    const session = await people.customer('ann@headers.example')
    const answers = [
      ...[await get('/v1/products'), await get('/v1/users/me', bearer(session)), await get('/v1/users/me')],
      ...[await get('/nothing'), await get('/openapi.json'), await get('/health'), session],
      ...[await shop.send('POST', '/v1/auth/login', { email: 1 }), await get('/v1/auth/login')],
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 401, 404, 200, 200, 200, 400, 405])
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
      })
      expect(headers['x-powered-by']).toBeUndefined()
      expect(headers.server).toBeUndefined()
    }
  })

  test('HSTS for a year with subdomains in production, and not on a developer’s http://localhost', async () => {
    expect((await get('/health')).headers['strict-transport-security']).toBeUndefined()
    const { config, log, limits } = shop.app
    const never = () => false
    const server = await makeServer({
      ...{ ...config, production: true, log, limits },
      ...{ metrics: { observe() {}, shed() {} }, waitedMs: () => 0 },
      origins: { mayCall: never, refuseForeign() {} },
      authenticate: async ({ address }) => ({ kind: 'guest', userId: null, address, permissions: new Set() }),
    })
    const { headers } = await server.inject('/nothing')
    await server.close()
    expect(headers['strict-transport-security']).toBe('max-age=31536000; includeSubDomains')
  })

  test('Cache-Control: no-store on auth/PII: on everything that is not public, whatever it answers', async () => {
    const session = await people.customer('pii@headers.example')
    const reads = allRoutes(shop.app.http).filter(
      ({ method, config }) => [method].flat().includes('GET') && config?.permission !== 'public',
    )
    expect(reads.length).toBeGreaterThan(15)
    for (const headers of [{}, bearer(session), await shop.asOwner()])
      for (const { url } of reads)
        expect((await get(url.replaceAll(/:\w+/g, 'nonsense'), headers)).headers['cache-control'], url).toBe('no-store')
    for (const path of ['login', 'refresh', 'logout', 'register', 'forgot-password', 'reset-password', 'verify-email'])
      expect((await shop.send('POST', `/v1/auth/${path}`)).headers['cache-control'], path).toBe('no-store')
    expect(session.headers['cache-control']).toBe('no-store')
    expect((await people.refresh(session.body.refreshToken)).headers['cache-control']).toBe('no-store')
  })
})

/** A shared cache (RFC 9111) that keeps whatever it may, under the address and the headers that Vary names. */
function aCache() {
  const kept = new Map<string, { vary: string[]; given: Record<string, string>; text: string }[]>()
  return async (url: string, headers: Record<string, string> = {}) => {
    const known = kept.get(url)?.find(({ vary, given }) => vary.every((name) => given[name] === headers[name]))
    if (known) return { text: known.text, fromCache: true }
    const answer = await get(url, headers)
    const control = String(answer.headers['cache-control'] ?? '')
    const mayKeep = !/no-store|private/.test(control) && !(headers.authorization && !/public|s-maxage/.test(control))
    const vary = String(answer.headers.vary ?? '')
      .toLowerCase()
      .split(/, */)
      .filter(Boolean)
    if (mayKeep) kept.set(url, [...(kept.get(url) ?? []), { vary, given: headers, text: answer.text }])
    return { text: answer.text, fromCache: false }
  }
}

describe('Cache leaks', () => {
  test('A’s /me, then B’s /me through a cache: they differ', async () => {
    const [a, b] = [await people.customer('a@cache.example'), await people.customer('b@cache.example')]
    const cached = aCache()
    for (const url of ['/v1/users/me', '/v1/auth/sessions', '/v1/orders', '/v1/users/me/export']) {
      const first = await cached(url, bearer(a))
      const second = await cached(url, bearer(b))
      expect(
        [first, second].map(({ fromCache }) => fromCache),
        url,
      ).toEqual([false, false])
      if (url !== '/v1/orders') expect(first.text).not.toBe(second.text)
      expect((await cached(url)).fromCache).toBe(false)
    }
  })

  test('whatever the owner, a customer and a page of another origin ask first, each gets through a cache what they get without', async () => {
    const owner = await shop.asOwner()
    const customer = bearer(await people.customer('first@cache.example'))
    const everybody: Record<string, string>[] = [
      owner,
      { ...customer, origin: PUBLIC_URL },
      { origin: 'https://evil.example' },
      customer,
      {},
      owner,
    ]
    const reads = allRoutes(shop.app.http).filter(
      ({ method, url }) => [method].flat().includes('GET') && /^\/v1\//.test(url),
    )
    expect(reads.length).toBeGreaterThan(20)
    await shop.send('POST', '/v1/products', { title: 'Not yet', handle: 'not-yet', status: 'draft' }, owner)
    let hits = 0
    for (const { url } of reads)
      for (const query of ['', '?status=draft', '?limit=1']) {
        const cached = aCache()
        const path = url.replaceAll(/:\w+/g, 'mug') + query
        for (const headers of everybody) {
          const through = await cached(path, headers)
          if (!through.fromCache) continue
          hits += 1
          expect(through.text, path).toBe((await get(path, headers)).text)
        }
      }
    expect(hits).toBeGreaterThan(3)
  })

  test('/me/x.css: 404, with a token and without', async () => {
    const session = await people.customer('css@cache.example')
    for (const path of ['me/x.css', 'me/export/x.css', 'me%2fx.css', 'me;x.css', 'me.css', 'me/'])
      for (const headers of [{}, bearer(session)]) {
        const answer = await get(`/v1/users/${path}`, headers)
        expect([400, 401, 403, 404], path).toContain(answer.status)
        if (path.startsWith('me/')) expect(answer.status, path).toBe(404)
        expect(answer.headers['cache-control'], path).toBe('no-store')
        expect(answer.text).not.toContain('css@cache.example')
      }
  })

  test('Vary right: what may be kept names Origin, and is the same for everybody', async () => {
    const session = bearer(await people.customer('vary@cache.example'))
    const publicReads = allRoutes(shop.app.http).filter(
      ({ method, url, config }) =>
        [method].flat().includes('GET') && config?.permission === 'public' && /^\/v1\/|well-known/.test(url),
    )
    let kept = 0
    for (const { url } of publicReads) {
      const path = url.replace('/products/:handle', '/products/mug').replaceAll(/:\w+/g, 'mug')
      const answer = await get(path)
      const control = String(answer.headers['cache-control'])
      if (control === 'no-store') continue
      kept += 1
      expect(control, path).toMatch(/^public, /)
      expect(answer.headers.vary, path).toMatch(/\bOrigin\b/)
      expect(answer.headers['set-cookie'], path).toBeUndefined()
      expect((await get(path, session)).text, path).toBe(answer.text)
    }
    expect(kept).toBeGreaterThan(1)
    const cached = aCache()
    await cached('/v1/products', { origin: 'https://evil.example' })
    expect((await cached('/v1/products', { origin: PUBLIC_URL })).fromCache).toBe(false)
    expect((await cached('/v1/products', { origin: PUBLIC_URL })).fromCache).toBe(true)
  })
})

describe('Proxy trust', () => {
  const FORGED = {
    'x-forwarded-for': '203.0.113.7',
    'x-real-ip': '203.0.113.7',
    forwarded: 'for=203.0.113.7;host=evil.example;proto=https',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    host: 'evil.example',
  }
  const login = { email: 'ann@proxy.example', password: 'a horse of another colour' }
  const seenFrom = async (one: TestShop, headers: Record<string, string>) => {
    await one.send('POST', '/v1/auth/register', login)
    const session = await one.send('POST', '/v1/auth/login', login, headers)
    const listed = await one.send('GET', '/v1/auth/sessions', undefined, bearer(session))
    return listed.body.data[0].address
  }

  test('forged X-Forwarded-For from an untrusted peer is ignored; a trusted one is believed what it added', async () => {
    expect(await seenFrom(shop, FORGED)).toBe('127.0.0.1')
    const behind = await testShop({ TRUSTED_PROXIES: '127.0.0.1' })
    try {
      expect(await seenFrom(behind, FORGED)).toBe('203.0.113.7')
      expect(await seenFrom(behind, { 'x-forwarded-for': '198.51.100.1, 203.0.113.7' })).toBe('203.0.113.7')
    } finally {
      await behind.close()
    }
  })

  test('forged Host and Proto change no link', async () => {
    for (const url of ['/openapi.json', '/v1/products', '/v1/products/mug', '/', '/.well-known/jwks.json'])
      expect((await get(url, FORGED)).text, url).not.toContain('evil.example')
    const made = await shop.send('POST', '/v1/carts', { currency: 'USD' }, FORGED)
    expect(made.status).toBe(201)
    expect(String(made.headers.location)).toMatch(/^\/v1\/carts\//)
    await shop.send('POST', '/v1/auth/register', { ...login, email: 'mail@proxy.example' }, FORGED)
    await shop.app.settle()
    await shop.app.runJobs()
    const mails = await get('/dev/mailbox.json')
    expect(mails.text).toContain('mail@proxy.example')
    expect(mails.text).toContain(PUBLIC_URL)
    expect(mails.text).not.toContain('evil.example')
  })

  test('X-User-Id and the like from an untrusted peer make nobody anybody', async () => {
    const { id } = (await people.customer('victim@proxy.example')).body.user
    for (const name of ['x-user-id', 'x-user', 'x-remote-user', 'x-forwarded-user', 'x-auth-user', 'x-role'])
      expect(await get('/v1/users/me', { [name]: name === 'x-role' ? 'owner' : id })).toMatchObject({
        status: 401,
        body: { code: 'platform.unauthenticated' },
      })
  })
})
