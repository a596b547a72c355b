import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { parseSigningKeys, readOrMakeKeys } from '#platform/security/keys.ts'
import { makeAccessTokens } from '#platform/security/tokens.ts'
import { type App, buildApp } from '#src/app.ts'
import { readConfig } from '#src/config.ts'
import { bearer, expectInvalidToken, peopleOf } from '../contexts/users/people.ts'
import { freePort } from '../kit/free-port.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

const newSecret = () =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
const newKey = () => parseSigningKeys(newSecret())[0]!
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

let fetched = 0
const elsewhere = createServer((_request, response) => {
  fetched += 1
  response.end('{"keys":[]}')
})
await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
const outside = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`

const shop: TestShop = await testShop()
const people = peopleOf(shop)
afterAll(async () => {
  elsewhere.close()
  await shop.close()
})

// A live session, so that only the one thing under test is wrong.
const session = await people.customer('ann@tokens.example')
const ours: string = session.body.accessToken
const [head = '', body = '', signature = ''] = ours.split('.')
const key = shop.app.config.signingKeys[0]!
const good = JSON.parse(Buffer.from(body, 'base64url').toString())
const goodHeader = { alg: 'EdDSA', typ: 'at+jwt', kid: key.kid }
const seconds: number = good.iat
const ISSUER = shop.app.config.publicUrl

/** Signs anything at all with our own key. */
function forge(payload: object, header: object = goodHeader, privateKey: KeyObject = key.privateKey): string {
  const signed = `${part(header)}.${part(payload)}`
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`
}
const without = (name: string) => Object.fromEntries(Object.entries(good).filter(([claim]) => claim !== name))
const me = (token: string) => shop.send('GET', '/v1/users/me', undefined, { authorization: `Bearer ${token}` })
const at = async (moment: number, token: string): Promise<number> => {
  const before = shop.clock.now
  shop.clock.now = new Date(moment * 1000)
  const { status } = await me(token)
  shop.clock.now = before
  return status
}

const publicKey = key.publicKey.export({ type: 'spki', format: 'pem' })
const rawPublicKey = Buffer.from(key.publicKey.export({ format: 'jwk' }).x!, 'base64url')
const hmacToken = (secret: string | Buffer) => {
  const signed = `${part({ ...goodHeader, alg: 'HS256' })}.${part(good)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}
const stranger = newKey()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const rs512 = await new SignJWT(good).setProtectedHeader({ ...goodHeader, alg: 'RS512' }).sign(rsa)
const refused = async (_: string, token: string) => expectInvalidToken(await me(token))

test('a token that is signed as ours is, is taken: what follows is refused for its one fault', async () => {
  expect((await me(ours)).status).toBe(200)
  expect((await me(forge(good))).status).toBe(200)
})

describe('Alg allowlist', () => {
  it.each<[string, string]>([
    ['alg none, no signature', `${part({ ...goodHeader, alg: 'none' })}.${body}.`],
    ['alg none, our signature', `${part({ ...goodHeader, alg: 'none' })}.${body}.${signature}`],
    ['HS256 with the public key as PEM', hmacToken(publicKey)],
    ['HS256 with the public key as bytes', hmacToken(rawPublicKey)],
    ['RS512', rs512],
    ['an empty signature', `${head}.${body}.`],
    ['a flipped signature', `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`],
    ['a changed body', `${head}.${part({ ...good, sub: 'usr_2' })}.${signature}`],
    ["a stranger's signature under our kid", forge(good, goodHeader, stranger.privateKey)],
  ])('%s: 401', refused)
})

describe('Key source', () => {
  it.each<[string, string]>([
    ['unknown kid', forge(good, { ...goodHeader, kid: stranger.kid }, stranger.privateKey)],
    ['no kid', forge(good, { alg: 'EdDSA', typ: 'at+jwt' })],
    ['a kid that walks', forge(good, { ...goodHeader, kid: '../../../dev/null' })],
    ['a kid of the prototype', forge(good, { ...goodHeader, kid: '__proto__' })],
    ['a kid that is a number', forge(good, { ...goodHeader, kid: 1 })],
    ['jku', forge(good, { ...goodHeader, jku: `${outside}/jwks.json` })],
    ['x5u', forge(good, { ...goodHeader, x5u: `${outside}/cert` })],
    ['jwk', forge(good, { ...goodHeader, jwk: stranger.publicKey.export({ format: 'jwk' }) }, stranger.privateKey)],
    ['crit', forge(good, { ...goodHeader, crit: ['x'], x: 1 })],
  ])('%s: 401', refused)

  it('is never fetched from where a token says', () => expect(fetched).toBe(0))
})

describe('Times', () => {
  it.each<[string, string]>([
    ['expired 31 s ago', forge({ ...good, iat: seconds - 600, exp: seconds - 31 })],
    ['no exp', forge(without('exp'))],
    ['exp as a text', forge({ ...good, exp: String(seconds + 600) })],
    ['exp null', forge({ ...good, exp: null })],
    ['exp of a year', forge({ ...good, iat: seconds - 3600, exp: seconds + 31_536_000 })],
    ['nbf in a minute', forge({ ...good, nbf: seconds + 60 })],
    ['iat in a minute', forge({ ...good, iat: seconds + 60, exp: seconds + 660 })],
    ['no iat', forge(without('iat'))],
  ])('%s: 401', refused)

  it('are taken with 30 s of skew, and ten minutes', async () => {
    const late = forge({ ...good, iat: seconds - 600, exp: seconds - 29 })
    expect((await me(late)).status).toBe(200)
    expect((await me(forge({ ...good, nbf: seconds + 29 }))).status).toBe(200)
    expect(await at(seconds + 629, ours)).toBe(200)
    expect(await at(seconds + 631, ours)).toBe(401)
    expect(await at(seconds - 29, ours)).toBe(200)
    expect(await at(seconds - 31, ours)).toBe(401)
  })
})

describe('Type, audience, issuer', () => {
  it.each<[string, string]>([
    ['typ JWT', forge(good, { ...goodHeader, typ: 'JWT' })],
    ['no typ', forge(good, { alg: 'EdDSA', kid: key.kid })],
    ['a refresh token of its own type', forge(good, { ...goodHeader, typ: 'rt+jwt' })],
    ['wrong issuer', forge({ ...good, iss: 'https://evil.example' })],
    ['no issuer', forge(without('iss'))],
    ['wrong audience', forge({ ...good, aud: 'https://other.example' })],
    ['audience as a list', forge({ ...good, aud: [ISSUER] })],
    ['no audience', forge(without('aud'))],
    ['no subject', forge(without('sub'))],
    ['subject that is a number', forge({ ...good, sub: 1 })],
    ['no session', forge(without('sid'))],
    ['session that is an object', forge({ ...good, sid: {} })],
    ['a refresh token', session.body.refreshToken],
    ['a device token', session.body.deviceToken],
  ])('%s: 401', refused)

  it.each([
    ['verify', 'resend-verification'],
    ['reset', 'forgot-password'],
  ])('a live %s token: 401', async (_, path) => {
    const { email } = session.body.user
    expect((await shop.send('POST', `/v1/auth/${path}`, { email })).status).toBe(202)
    await shop.app.settle()
    await shop.app.runJobs()
    const { body: mails } = await shop.send('GET', '/dev/mailbox.json')
    const [mail] = mails.filter(({ to }: { to: string }) => to === email)
    const [, token = ''] = /#token=([\w-]{43,})/.exec(mail.text) ?? []
    expect(token).not.toBe('')
    expectInvalidToken(await me(token))
  })
})

describe('what is no token', () => {
  it.each<[string, string]>([
    ['a body that is a list', forge([])],
    ['not a token', 'not a token'],
    ['two parts', `${head}.${body}`],
  ])('%s: 401', refused)

  it.each(['', ` ${ours} `, 'a.'.repeat(50_000)])('is read as nothing', async (token) => {
    const tokens = makeAccessTokens({ keys: [key], issuer: ISSUER, clock: () => shop.clock.now })
    expect(await tokens.read(token)).toBeUndefined()
  })
})

describe('Key rotation', () => {
  const apps: App[] = []
  afterAll(async () => {
    for (const app of apps) await app.close()
  })
  /** Another process of the same shop, with these signing keys. */
  async function another(signingKeys: string) {
    const { dataDir } = shop.app.config
    const env = { NODE_ENV: 'test', LOG_LEVEL: 'error', DRAIN_MS: '0', RATE_LIMITS: 'off', PUBLIC_URL: ISSUER }
    const config = readConfig({ ...env, STOA_DATA_DIR: dataDir, PORT: '0', SIGNING_KEYS: signingKeys })
    const app = await buildApp(config, { databaseUrl: shop.databaseUrl, clock: () => shop.clock.now })
    apps.push(app)
    await app.http.ready()
    const ask = async (method: 'GET' | 'POST', url: string, payload?: object, headers = {}) => {
      const {
        statusCode: status,
        body: text,
        headers: all,
      } = await app.http.inject({
        ...{ method, url, headers },
        ...(payload ? { payload } : {}),
      })
      return { status, text, body: text ? JSON.parse(text) : undefined, headers: all } as Sent
    }
    return { ask, me: (token: string) => ask('GET', '/v1/users/me', undefined, { authorization: `Bearer ${token}` }) }
  }
  const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).kid

  it('nobody is logged out; the old kid is accepted until its last token ends, then 401', async () => {
    const old = readOrMakeKeys(shop.app.config.dataDir).SIGNING_KEYS
    const fresh = newSecret()
    const person = await people.customer('rotation@tokens.example')
    // First every process accepts the new key, then all sign with it.
    const prepared = await another(`${old},${fresh}`)
    const rotated = await another(`${fresh},${old}`)
    for (const one of [prepared, rotated]) expect((await one.me(person.body.accessToken)).status).toBe(200)
    const { refreshToken } = person.body
    const refreshed = await rotated.ask('POST', '/v1/auth/refresh', { refreshToken })
    expect(refreshed.status).toBe(200)
    expect(kidOf(refreshed.body.accessToken)).toBe(parseSigningKeys(fresh)[0]!.kid)
    for (const one of [prepared, rotated]) expect((await one.me(refreshed.body.accessToken)).status).toBe(200)
    const { keys } = (await rotated.ask('GET', '/.well-known/jwks.json')).body
    expect(keys.map(({ kid }: { kid: string }) => kid)).toEqual([kidOf(refreshed.body.accessToken), key.kid])

    const last = await people.refresh(refreshed.body.refreshToken)
    expect(kidOf(last.body.accessToken)).toBe(key.kid)
    shop.clock.advance(10)
    expect((await rotated.me(last.body.accessToken)).status).toBe(200)
    shop.clock.advance(0.6)
    expectInvalidToken(await rotated.me(last.body.accessToken))
    const after = await another(fresh)
    expectInvalidToken(await after.me(last.body.accessToken))
    const later = await after.ask('POST', '/v1/auth/refresh', { refreshToken: last.body.refreshToken })
    expect(later.status).toBe(200)
    expect((await after.me(later.body.accessToken)).status).toBe(200)
    const withOldKid = await people.refresh(later.body.refreshToken)
    expectInvalidToken(await after.me(withOldKid.body.accessToken))
  })

  it('JWKS served with no private part', async () => {
    const { body: jwks, text } = await shop.send('GET', '/.well-known/jwks.json')
    expect(jwks.keys).toHaveLength(1)
    expect(Object.keys(jwks.keys[0]).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    expect(text).not.toContain(key.privateKey.export({ format: 'jwk' }).d)
    // The route's schema would hide a private part: there is none to hide.
    expect(makeAccessTokens({ keys: [key], issuer: ISSUER, clock: () => shop.clock.now }).jwks).toEqual(jwks)
  })
})

describe.each([
  ['without Redis', false],
  ['with Redis down', true],
])('Logout / disable is immediate, %s', (_, redisDown) => {
  let it: TestShop
  let its: ReturnType<typeof peopleOf>
  let boss: Sent
  beforeAll(async () => {
    const dead = { REDIS_URL: `redis://127.0.0.1:${await freePort()}`, RATE_LIMITS: 'on' }
    it = await testShop(redisDown ? dead : {})
    its = peopleOf(it)
    const owner = await its.createOwner()
    boss = await its.logIn(owner!.email, owner!.password)
  })
  afterAll(() => it?.close())

  async function change(id: string, wanted: object) {
    const { headers } = await it.send('GET', `/v1/users/${id}`, undefined, bearer(boss))
    const ifMatch = { ...bearer(boss), 'if-match': String(headers.etag) }
    expect((await it.send('PATCH', `/v1/users/${id}`, wanted, ifMatch)).status).toBe(200)
  }

  test('access token after logout: 401 on the next call', async () => {
    const one = await its.customer('out@immediate.example')
    expect((await its.me(one)).status).toBe(200)
    expect((await it.send('POST', '/v1/auth/logout', undefined, bearer(one))).status).toBe(204)
    expectInvalidToken(await its.me(one))
  })

  test('after user disable: 401 on the next call, and no new session', async () => {
    const one = await its.customer('disabled@immediate.example')
    expect((await its.me(one)).status).toBe(200)
    await change(one.body.user.id, { disabled: true })
    expectInvalidToken(await its.me(one))
    expect((await its.refresh(one.body.refreshToken)).status).toBe(401)
    expect((await its.logIn('disabled@immediate.example')).status).toBe(401)
  })

  test('after role removal: 403 on the next call', async () => {
    const { id, session: one } = await its.staff(boss, 'support@immediate.example', ['support'])
    const list = () => it.send('GET', '/v1/users', undefined, bearer(one))
    expect((await list()).status).toBe(200)
    await change(id, { roles: ['catalogue'] })
    expect(await list()).toMatchObject({ status: 403, body: { code: 'platform.forbidden' } })
    expect((await its.me(one)).status).toBe(200)
  })
})
