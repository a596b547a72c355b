import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'

/**
 * A guest's proof for one cart or order. It is not stored but computed from the id, so that replayed answers and mails
 * can carry it; raising the thing's `tokenVersion` revokes it. The first secret makes tokens, all are accepted.
 */
export function makeGuestTokens(secrets: readonly KeyObject[]) {
  const [first] = secrets
  if (!first) throw new RangeError('No token secret.')
  const tokenWith = (secret: KeyObject, id: string, tokenVersion: number) =>
    createHmac('sha256', secret).update(`${id}:${tokenVersion}`).digest('base64url')
  return {
    /** The token of this thing in its present version. */
    guestToken: (id: string, tokenVersion: number): string => tokenWith(first, id, tokenVersion),
    /** Whether this is its token; takes as long for a near miss as for a far one. */
    isGuestToken: (id: string, tokenVersion: number, given: string | undefined): boolean =>
      given !== undefined && secrets.some((secret) => isSame(tokenWith(secret, id, tokenVersion), given)),
  }
}

export type GuestTokens = ReturnType<typeof makeGuestTokens>

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}
