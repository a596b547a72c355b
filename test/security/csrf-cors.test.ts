import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { bearer, expectInvalidToken, PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

const API = 'https://api.stoa.example'
const STOREFRONT = 'https://www.stoa.example'
const PARTNER = 'https://shop.com'
const FOREIGN = [
  ...['https://evil.example', 'https://shop.com.evil', 'https://evilshop.com', 'https://shop.com@evil.example'],
  ...['http://shop.com', 'https://shop.com:8443', 'https://sub.shop.com', 'null', '*', `${STOREFRONT}, ${PARTNER}`],
]

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop({ PUBLIC_URL: `${API}/shop`, STOREFRONT_URL: `${STOREFRONT}/en`, CORS_ORIGINS: PARTNER })
  people = peopleOf(shop)
})
afterAll(() => shop.close())

/** A browser: it keeps what Set-Cookie says and shows it again. */
function aBrowser() {
  const jar = new Map<string, string>()
  let lines: string[] = []
  const cookies = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const send = async (method: 'POST' | 'DELETE', path: string, body?: object, headers: Record<string, string> = {}) => {
    const answer = await shop.send(method, `/v1/auth/${path}`, body, {
      origin: STOREFRONT,
      cookie: cookies(),
      ...headers,
    })
    lines = [answer.headers['set-cookie'] ?? []].flat().map(String)
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/Max-Age=0/.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    return answer
  }
  return {
    jar,
    send,
    cookies,
    setCookie: () => lines,
    logIn: (email: string, headers?: Record<string, string>) =>
      send('POST', 'login', { email, password: PASSWORD, refreshTokenIn: 'cookie' }, headers),
    /** As a browser that was not asked for an Origin, or whose was taken away. */
    withoutOrigin: (path: string, body?: object, headers: Record<string, string> = {}) =>
      shop.send('POST', `/v1/auth/${path}`, body, { cookie: cookies(), ...headers }),
  }
}
async function loggedIn(email: string) {
  await people.register(email)
  const browser = aBrowser()
  const session = await browser.logIn(email)
  expect(session.status).toBe(200)
  return { browser, session }
}
const expectForeign = (answer: Sent) => {
  expect(answer).toMatchObject({ status: 403, body: { code: 'platform.foreign-origin' } })
  expect(answer.headers['set-cookie']).toBeUndefined()
}

describe('Tokens not in URL; cookies', () => {
  test('?access_token= ignored: 401', async () => {
    const session = await people.customer('url@cookies.example')
    const answer = await shop.send('GET', `/v1/users/me?access_token=${session.body.accessToken}`)
    expect(answer).toMatchObject({ status: 401, body: { code: 'platform.unauthenticated' } })
    const { refreshToken } = session.body
    const refused = await shop.send('POST', `/v1/auth/refresh?refreshToken=${refreshToken}`, undefined, { origin: API })
    expect(refused).toMatchObject({ status: 400, body: { code: 'platform.malformed' } })
    expect((await people.refresh(refreshToken)).status).toBe(200)
  })

  test('refresh cookie __Host-, HttpOnly, Secure, SameSite=Strict; the body is without', async () => {
    const { browser, session } = await loggedIn('flags@cookies.example')
    const flags = 'Path=/; HttpOnly; Secure; SameSite=Strict'
    expect(browser.setCookie().map((line) => line.replace(/=[\w.-]{43,}/, '=…'))).toEqual([
      `__Host-stoa-refresh=…; Max-Age=2592000; ${flags}`,
      `__Host-stoa-device=…; Max-Age=7776000; ${flags}`,
    ])
    expect(session.body).toEqual({
      accessToken: expect.any(String),
      refreshToken: null,
      expiresIn: 600,
      user: expect.any(Object),
    })
    for (const value of browser.jar.values()) expect(session.text).not.toContain(value)
    expect(session.headers['cache-control']).toBe('no-store')
    expect((await people.me(session)).status).toBe(200)
  })

  test('a cookie is no access token', async () => {
    const { browser } = await loggedIn('access@cookies.example')
    const asked = await shop.send('GET', '/v1/users/me', undefined, { cookie: browser.cookies(), origin: STOREFRONT })
    expect(asked).toMatchObject({ status: 401, body: { code: 'platform.unauthenticated' } })
  })

  test('refresh reads the cookie, rotates it, and keeps the device’s', async () => {
    const { browser } = await loggedIn('refresh@cookies.example')
    const [first, device] = [...browser.jar.values()]
    for (const body of [undefined, {}, { refreshTokenIn: 'body' }]) {
      const before = browser.jar.get('__Host-stoa-refresh')
      const answer = await browser.send('POST', 'refresh', body)
      expect(answer).toMatchObject({ status: 200, body: { refreshToken: null } })
      expect(browser.setCookie()).toHaveLength(1)
      expect(browser.jar.get('__Host-stoa-refresh')).not.toBe(before)
      expect((await people.me(answer)).status).toBe(200)
    }
    expect([...browser.jar.values()][1]).toBe(device)
    shop.clock.advance(1)
    expect((await people.refresh(first!)).status).toBe(401)
    expect(await browser.send('POST', 'refresh')).toMatchObject({ status: 401 })
  })

  test('a refresh token of the body moves into the cookie where asked, and stays in the body otherwise', async () => {
    const session = await people.customer('move@cookies.example')
    const browser = aBrowser()
    const { refreshToken } = session.body
    const body = await browser.send('POST', 'refresh', { refreshToken })
    expect(body.body.refreshToken).toEqual(expect.any(String))
    expect(browser.setCookie()).toEqual([])
    const moved = await browser.send('POST', 'refresh', {
      refreshToken: body.body.refreshToken,
      refreshTokenIn: 'cookie',
    })
    expect(moved).toMatchObject({ status: 200, body: { refreshToken: null } })
    expect((await browser.send('POST', 'refresh')).status).toBe(200)
  })

  test('logout reads and clears it; the device stays known', async () => {
    const { browser, session } = await loggedIn('logout@cookies.example')
    const kept = browser.cookies()
    expect((await browser.send('POST', 'logout')).status).toBe(204)
    expect(browser.setCookie()).toEqual([
      expect.stringMatching(/^__Host-stoa-refresh=; Max-Age=0; Path=\/; .*HttpOnly; Secure; SameSite=Strict$/),
    ])
    expect([...browser.jar.keys()]).toEqual(['__Host-stoa-device'])
    expectInvalidToken(await people.me(session))
    expect((await browser.send('POST', 'refresh', undefined, { cookie: kept })).status).toBe(401)
    expect(await browser.send('POST', 'refresh')).toMatchObject({ status: 401 })
  })

  test('logout everywhere clears it as well', async () => {
    const { browser, session } = await loggedIn('everywhere@cookies.example')
    expect((await browser.send('DELETE', 'sessions', undefined, bearer(session))).status).toBe(204)
    expect([...browser.jar.keys()]).toEqual(['__Host-stoa-device'])
    expectInvalidToken(await people.me(session))
  })
})

describe('CSRF on cookie endpoints', () => {
  it.each(FOREIGN)(
    'POST refresh, logout and login with foreign Origin %s: 403, and nothing happens',
    async (origin) => {
      const email = `csrf-${FOREIGN.indexOf(origin)}@csrf.example`
      const { browser, session } = await loggedIn(email)
      const before = browser.cookies()
      expectForeign(await browser.send('POST', 'refresh', undefined, { origin }))
      expectForeign(await browser.send('POST', 'refresh', {}, { origin }))
      expectForeign(await browser.send('POST', 'logout', undefined, { origin }))
      expectForeign(await browser.send('POST', 'logout', undefined, { origin, ...bearer(session) }))
      expectForeign(await browser.logIn(email, { origin }))
      expect(browser.cookies()).toBe(before)
      expect((await people.me(session)).status).toBe(200)
      expect((await browser.send('POST', 'refresh')).status).toBe(200)
    },
  )

  it.each([API, STOREFRONT, PARTNER, 'http://localhost:5173'])('from %s: 200', async (origin) => {
    const { browser } = await loggedIn(`own-${origin.length}@csrf.example`)
    expect((await browser.send('POST', 'refresh', undefined, { origin })).status).toBe(200)
    expect((await browser.send('POST', 'logout', undefined, { origin })).status).toBe(204)
  })

  test('missing Origin: 403 where the cookie is what proves the caller, and only there', async () => {
    const { browser, session } = await loggedIn('missing@csrf.example')
    expectForeign(await browser.withoutOrigin('refresh'))
    expectForeign(await browser.withoutOrigin('logout'))
    expect((await people.me(session)).status).toBe(200)
    expect((await browser.withoutOrigin('logout', undefined, bearer(session))).status).toBe(204)
    const other = await people.logIn('missing@csrf.example')
    expect((await people.refresh(other.body.refreshToken)).status).toBe(200)
    expect((await shop.send('POST', '/v1/auth/logout')).status).toBe(204)
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'POST refresh as %s: 415',
    async (type) => {
      const { browser, session } = await loggedIn(`type-${type.length}@csrf.example`)
      for (const [path, origin] of [
        ['refresh', STOREFRONT],
        ['refresh', 'https://evil.example'],
        ['logout', STOREFRONT],
        ['login', STOREFRONT],
      ]) {
        const answer = await shop.app.http.inject({
          method: 'POST',
          url: `/v1/auth/${path}`,
          headers: { cookie: browser.cookies(), origin: origin!, 'content-type': type },
          payload: '{}',
        })
        expect(answer.statusCode).toBe(415)
        expect(answer.json().code).toBe('platform.unsupported-media-type')
      }
      expect((await people.me(session)).status).toBe(200)
    },
  )

  test('GET refresh: 405, and nothing happens', async () => {
    const { browser, session } = await loggedIn('get@csrf.example')
    for (const path of ['refresh', 'logout', 'login']) {
      const headers = { cookie: browser.cookies(), origin: STOREFRONT }
      const answer = await shop.send('GET', `/v1/auth/${path}`, undefined, headers)
      expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } })
    }
    expect((await people.me(session)).status).toBe(200)
    expect((await browser.send('POST', 'refresh')).status).toBe(200)
  })
})

describe('a known device', () => {
  test('is known by its cookie: strangers who fail do not keep it out', async () => {
    const limited = await testShop({ RATE_LIMITS: 'on', PUBLIC_URL: API })
    try {
      const email = 'known@device.example'
      const logIn = (password: string, headers: Record<string, string> = {}, refreshTokenIn = 'cookie') =>
        limited.send('POST', '/v1/auth/login', { email, password, refreshTokenIn }, { origin: API, ...headers })
      await limited.send('POST', '/v1/auth/register', { email, password: PASSWORD })
      const lines = [(await logIn(PASSWORD)).headers['set-cookie']].flat().map(String)
      const cookie = lines.map((line) => line.split(';', 1)[0]).join('; ')
      for (let count = 0; count < 10; count += 1) await logIn('not my password at all')
      expect(await logIn(PASSWORD)).toMatchObject({ status: 429, body: { code: 'users.too-many-attempts' } })
      expect(await logIn(PASSWORD, { cookie }, 'body')).toMatchObject({ status: 429 })
      expect(await logIn(PASSWORD, { cookie })).toMatchObject({ status: 200 })
    } finally {
      await limited.close()
    }
  })
})

describe('CORS', () => {
  const asked = async (origin: string, method: 'GET' | 'OPTIONS' = 'GET') =>
    (
      await shop.app.http.inject({
        method,
        url: '/v1/auth/refresh',
        headers: { origin, ...(method === 'OPTIONS' ? { 'access-control-request-method': 'POST' } : {}) },
      })
    ).headers
  const ofCors = (headers: object) => Object.keys(headers).filter((name) => name.startsWith('access-control'))

  it.each(FOREIGN)('unlisted Origin %s: no ACAO, nor anything else of CORS', async (origin) => {
    expect(ofCors(await asked(origin))).toEqual([])
    expect(ofCors(await asked(origin, 'OPTIONS'))).toEqual([])
  })

  it.each([API, STOREFRONT, PARTNER])('%s: named, with credentials, never *', async (origin) => {
    for (const headers of [await asked(origin), await asked(origin, 'OPTIONS')]) {
      expect(headers['access-control-allow-origin']).toBe(origin)
      expect(headers['access-control-allow-credentials']).toBe('true')
      expect(headers.vary).toMatch(/\bOrigin\b/)
      expect(headers['access-control-expose-headers']).toBe(
        'ETag, Location, Retry-After, Idempotent-Replayed, X-Request-Id, RateLimit, RateLimit-Policy',
      )
    }
    expect((await asked(origin, 'OPTIONS'))['access-control-allow-methods']).toBe('GET, POST, PATCH, DELETE')
  })

  test('without Origin: nothing of it', async () => {
    expect(ofCors((await shop.send('GET', '/v1/store')).headers)).toEqual([])
  })
})
