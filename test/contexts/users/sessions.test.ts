import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestShop, testShop } from '../../kit/shop.ts'
import { bearer, expectInvalidToken, peopleOf } from './people.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
})
afterAll(() => shop.close())

describe('sessions', () => {
  it('end at once on logout: access token and refresh token', async () => {
    const session = await people.customer('logout@shop.example')
    const other = await people.logIn('logout@shop.example')
    expect((await shop.send('POST', '/v1/auth/logout', undefined, bearer(session))).status).toBe(204)
    expectInvalidToken(await people.me(session))
    expect((await people.refresh(session.body.refreshToken)).status).toBe(401)
    expect((await people.me(other)).status).toBe(200)
    expect((await shop.send('POST', '/v1/auth/logout', { refreshToken: other.body.refreshToken })).status).toBe(204)
    expectInvalidToken(await people.me(other))
  })

  it('ends nothing for an unknown refresh token, and tells nothing', async () => {
    expect((await shop.send('POST', '/v1/auth/logout', { refreshToken: 'unknown' })).status).toBe(204)
    expect((await shop.send('POST', '/v1/auth/logout')).status).toBe(204)
  })

  it('refuse an access token after ten minutes and thirty seconds', async () => {
    const before = shop.clock.now
    const session = await people.customer('expiry@shop.example')
    shop.clock.advance(10)
    expect((await people.me(session)).status).toBe(200)
    shop.clock.advance(0.6)
    expectInvalidToken(await people.me(session))
    shop.clock.now = before
  })

  it.each([
    ['nonsense', 'Bearer nonsense'],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['no token', 'Bearer '],
    ['two tokens', 'Bearer a b'],
  ])('refuse a header of %s on every route', async (_, authorization) => {
    expectInvalidToken(await shop.send('GET', '/v1/users/me', undefined, { authorization }))
    expectInvalidToken(await shop.send('POST', '/v1/auth/logout', undefined, { authorization }))
  })

  it('refuse a refresh token as an access token, a token in the address, and nobody', async () => {
    const session = await people.customer('kinds@shop.example')
    expectInvalidToken(
      await shop.send('GET', '/v1/users/me', undefined, { authorization: `Bearer ${session.body.refreshToken}` }),
    )
    expect((await people.refresh(session.body.accessToken)).status).not.toBe(200)
    const inAddress = await shop.send('GET', `/v1/users/me?access_token=${session.body.accessToken}`)
    expect(inAddress).toMatchObject({ status: 401, body: { code: 'platform.unauthenticated' } })
    expect(inAddress.headers['www-authenticate']).toBe('Bearer')
  })

  it("refuse a session's token under another user's name", async () => {
    const [a, b] = [await people.customer('a@shop.example'), await people.customer('b@shop.example')]
    const { makeAccessTokens } = await import('#platform/security/tokens.ts')
    const { signingKeys: keys, publicUrl: issuer } = shop.app.config
    const tokens = makeAccessTokens({ keys, issuer, clock: () => shop.clock.now })
    const claims = await tokens.read(a.body.accessToken)
    const forged = await tokens.sign({ userId: b.body.user.id, sessionId: claims!.sessionId })
    expectInvalidToken(await shop.send('GET', '/v1/users/me', undefined, { authorization: `Bearer ${forged}` }))
  })
})

describe('me', () => {
  it('changes its name, and nothing else', async () => {
    const session = await people.customer('rename@shop.example')
    const changed = await shop.send('PATCH', '/v1/users/me', { name: 'Zoë' }, bearer(session))
    expect(changed).toMatchObject({ status: 200, body: { ...session.body.user, name: 'Zoë' } })
    expect((await people.me(session)).body.name).toBe('Zoë')
    for (const property of ['role', 'roles', 'email', 'emailVerified', 'disabled', 'id', '__proto__']) {
      const body = JSON.parse(`{"name":"Eve","${property}":["owner"]}`)
      const refused = await shop.send('PATCH', '/v1/users/me', body, bearer(session))
      expect(refused).toMatchObject({ status: 400, body: { code: 'platform.malformed' } })
    }
    expect((await people.me(session)).body).toEqual(changed.body)
  })

  it('is replayed under the same Idempotency-Key', async () => {
    const session = await people.customer('replay@shop.example')
    const headers = { ...bearer(session), 'idempotency-key': 'rename-1' }
    const first = await shop.send('PATCH', '/v1/users/me', { name: 'Once' }, headers)
    await shop.send('PATCH', '/v1/users/me', { name: 'Twice' }, bearer(session))
    const replay = await shop.send('PATCH', '/v1/users/me', { name: 'Once' }, headers)
    expect(replay.text).toBe(first.text)
    expect(replay.headers['idempotent-replayed']).toBe('true')
    expect((await people.me(session)).body.name).toBe('Twice')
  })
})

it('publishes the keys of access tokens', async () => {
  const { status, body, headers } = await shop.send('GET', '/.well-known/jwks.json')
  expect(status).toBe(200)
  expect(body.keys).toEqual([
    {
      kty: 'OKP',
      crv: 'Ed25519',
      x: expect.any(String),
      kid: shop.app.config.signingKeys[0]!.kid,
      alg: 'EdDSA',
      use: 'sig',
    },
  ])
  expect(headers['cache-control']).toBe('public, max-age=300')
})
