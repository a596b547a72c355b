import { decodeProtectedHeader, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose'
import type { Clock } from '#kernel/clock.ts'
import type { SessionId, UserId } from '#kernel/ids.ts'
import type { SigningKey } from './keys.ts'

/** What an access token says: who, in which session. Roles are not in it: they are read anew at each request. */
export type AccessClaims = { readonly userId: UserId; readonly sessionId: SessionId }

const ACCESS_TOKEN_SECONDS = 600
const SKEW_SECONDS = 30
const ALGORITHM = 'EdDSA'
const TYPE = 'at+jwt'
const HEADERS = new Set(['alg', 'typ', 'kid'])

/**
 * Access tokens (RFC 9068) signed with the first key, accepted from all: put a new key behind, then in front, and take the old one
 * away ten minutes later. `issuer` is this shop's address and its audience too.
 */
export function makeAccessTokens(from: { keys: readonly SigningKey[]; issuer: string; clock: Clock }) {
  const { keys, issuer, clock } = from
  const [first] = keys
  if (!first) throw new RangeError('No signing key.')
  const publicKeys = new Map(keys.map(({ kid, publicKey }) => [kid, publicKey]))
  const secondsNow = () => Math.floor(clock().getTime() / 1000)

  return {
    /** The public keys, for `/.well-known/jwks.json`. */
    jwks: publicJwks(keys),

    /** How long a token is good for. */
    seconds: ACCESS_TOKEN_SECONDS,

    /** A token for this session that is accepted for ten minutes. */
    sign: ({ userId, sessionId }: AccessClaims): Promise<string> =>
      new SignJWT({ sid: sessionId })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: first.kid })
        .setSubject(userId)
        .setIssuer(issuer)
        .setAudience(issuer)
        .setIssuedAt(secondsNow())
        .setExpirationTime(secondsNow() + ACCESS_TOKEN_SECONDS)
        .sign(first.privateKey),

    /** What the token says; undefined unless it is ours, whole, of this type and still good. */
    async read(token: string): Promise<AccessClaims | undefined> {
      try {
        const header = decodeProtectedHeader(token)
        const key = publicKeys.get(header.kid ?? '')
        // Keys named by the token itself (jku, x5u, jwk) are never looked at: such a token is not ours.
        if (!key || Object.keys(header).some((name) => !HEADERS.has(name))) return undefined
        const { payload } = await jwtVerify(token, key, {
          algorithms: [ALGORITHM],
          typ: TYPE,
          issuer,
          audience: issuer,
          requiredClaims: ['sub', 'sid', 'iat', 'exp'],
          maxTokenAge: ACCESS_TOKEN_SECONDS,
          clockTolerance: SKEW_SECONDS,
          currentDate: clock(),
        })
        const { sub, sid, aud } = payload
        if (typeof aud !== 'string' || typeof sub !== 'string' || typeof sid !== 'string') return undefined
        return { userId: sub as UserId, sessionId: sid as SessionId }
      } catch {
        return undefined
      }
    },
  }
}

export type AccessTokens = ReturnType<typeof makeAccessTokens>

const publicJwks = (keys: readonly SigningKey[]): JSONWebKeySet => ({
  keys: keys.map(({ kid, publicKey }) => {
    const { kty, crv, x } = publicKey.export({ format: 'jwk' }) as { kty: string; crv: string; x: string }
    return { kty, crv, x, kid, alg: ALGORITHM, use: 'sig' }
  }),
})
