import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { parseSigningKeys } from '#platform/security/keys.ts'
import { makeAccessTokens } from '#platform/security/tokens.ts'

const ISSUER = 'https://shop.example'
const NOW = new Date('2026-01-01T12:00:00Z')
const seconds = NOW.getTime() / 1000
const claims = { userId: 'usr_1', sessionId: 'ses_1' } as const

const newKey = () =>
  parseSigningKeys(
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
  )[0]!
const key = newKey()
let now = NOW
const tokens = makeAccessTokens({ keys: [key], issuer: ISSUER, clock: () => now })

const at = async <Result>(moment: number, read: () => Promise<Result>): Promise<Result> => {
  now = new Date(moment * 1000)
  try {
    return await read()
  } finally {
    now = NOW
  }
}

const good = { iss: ISSUER, aud: ISSUER, sub: 'usr_1', sid: 'ses_1', iat: seconds, exp: seconds + 600 }
const goodHeader = { alg: 'EdDSA', typ: 'at+jwt', kid: key.kid }
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signs anything at all with our own key, so that only the one thing under test is wrong. */
function forge(payload: object, header: object = goodHeader, privateKey: KeyObject = key.privateKey): string {
  const signed = `${part(header)}.${part(payload)}`
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`
}
const without = (name: string) => Object.fromEntries(Object.entries(good).filter(([claim]) => claim !== name))

const publicDer = key.publicKey.export({ type: 'spki', format: 'pem' })
const hmacToken = (secret: string | Buffer) => {
  const signed = `${part({ ...goodHeader, alg: 'HS256' })}.${part(good)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}
const ours = await tokens.sign(claims)
const [head = '', body = '', signature = ''] = ours.split('.')
const stranger = newKey()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const rs512 = await new SignJWT(good).setProtectedHeader({ ...goodHeader, alg: 'RS512' }).sign(rsa)

describe('access tokens', () => {
  it('say who and which session', async () => {
    expect(await tokens.read(ours)).toEqual(claims)
    expect(await tokens.read(forge(good))).toEqual(claims)
  })

  it.each<[string, string]>([
    ['alg none, no signature', `${part({ ...goodHeader, alg: 'none' })}.${body}.`],
    ['alg none, our signature', `${part({ ...goodHeader, alg: 'none' })}.${body}.${signature}`],
    ['HS256 with the public key as PEM', hmacToken(publicDer)],
    ['HS256 with the public key as bytes', hmacToken(Buffer.from(tokens.jwks.keys[0]!.x!, 'base64url'))],
    ['RS512', rs512],
    ['an empty signature', `${head}.${body}.`],
    ['a flipped signature', `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`],
    ['a changed body', `${head}.${part({ ...good, sub: 'usr_2' })}.${signature}`],
    ["a stranger's signature under our kid", forge(good, goodHeader, stranger.privateKey)],
    ['unknown kid', forge(good, { ...goodHeader, kid: stranger.kid }, stranger.privateKey)],
    ['no kid', forge(good, { alg: 'EdDSA', typ: 'at+jwt' })],
    ['a kid that walks', forge(good, { ...goodHeader, kid: '../../../dev/null' })],
    ['a kid of the prototype', forge(good, { ...goodHeader, kid: '__proto__' })],
    ['a kid that is a number', forge(good, { ...goodHeader, kid: 1 })],
    ['jku', forge(good, { ...goodHeader, jku: 'http://127.0.0.1:1/jwks.json' })],
    ['x5u', forge(good, { ...goodHeader, x5u: 'http://127.0.0.1:1/cert' })],
    ['jwk', forge(good, { ...goodHeader, jwk: stranger.publicKey.export({ format: 'jwk' }) }, stranger.privateKey)],
    ['crit', forge(good, { ...goodHeader, crit: ['x'], x: 1 })],
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
    ['expired 31 s ago', forge({ ...good, iat: seconds - 600, exp: seconds - 31 })],
    ['no exp', forge(without('exp'))],
    ['exp as a text', forge({ ...good, exp: String(seconds + 600) })],
    ['exp null', forge({ ...good, exp: null })],
    ['exp of a year', forge({ ...good, iat: seconds - 3600, exp: seconds + 31_536_000 })],
    ['nbf in a minute', forge({ ...good, nbf: seconds + 60 })],
    ['iat in a minute', forge({ ...good, iat: seconds + 60, exp: seconds + 660 })],
    ['no iat', forge(without('iat'))],
    ['a body that is a list', forge([])],
    ['not a token', 'not a token'],
    ['nothing', ''],
    ['two parts', `${head}.${body}`],
    ['blanks around', ` ${ours} `],
    ['100 kB', 'a.'.repeat(50_000)],
  ])('refuse %s', async (_, token) => expect(await tokens.read(token)).toBeUndefined())

  it('end after ten minutes and 30 s of skew', async () => {
    expect(await at(seconds + 629, () => tokens.read(ours))).toEqual(claims)
    expect(await at(seconds + 631, () => tokens.read(ours))).toBeUndefined()
    expect(await at(seconds - 29, () => tokens.read(ours))).toEqual(claims)
    expect(await at(seconds - 31, () => tokens.read(ours))).toBeUndefined()
  })

  it('of an old key are read until it is taken away; the new one signs', async () => {
    const fresh = newKey()
    const rotated = makeAccessTokens({ keys: [fresh, key], issuer: ISSUER, clock: () => now })
    expect(await rotated.read(ours)).toEqual(claims)
    expect(await tokens.read(await rotated.sign(claims))).toBeUndefined()
    const later = makeAccessTokens({ keys: [fresh], issuer: ISSUER, clock: () => now })
    expect(await later.read(ours)).toBeUndefined()
    expect(rotated.jwks.keys.map(({ kid }) => kid)).toEqual([fresh.kid, key.kid])
  })

  it('are checked with keys that hold no private part', () => {
    expect(tokens.jwks.keys).toHaveLength(1)
    expect(Object.keys(tokens.jwks.keys[0]!).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  })
})
