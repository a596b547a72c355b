import { createHash, createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'

/** How long a device is known after a login on it. */
export const DEVICE_TOKEN_SECONDS = 90 * 86_400

/**
 * What a device shows to be told from strangers: it logged in as this user before. It opens nothing by itself. Not stored
 * but signed; the first secret makes tokens, all are accepted.
 */
export function makeDeviceTokens(secrets: readonly KeyObject[]) {
  const [first] = secrets
  if (!first) throw new RangeError('No token secret.')
  const signed = (secret: KeyObject, userId: string, claims: string) =>
    createHmac('sha256', secret).update(`device:${userId}:${claims}`).digest()
  return {
    /** A token for this user's device, good for 90 days. */
    newDeviceToken: (userId: string, now: Date): string => {
      const claims = `${randomBytes(16).toString('base64url')}.${Math.floor(now.getTime() / 1000) + DEVICE_TOKEN_SECONDS}`
      return `${claims}.${signed(first, userId, claims).toString('base64url')}`
    },
    /** Whether this is a token of one of this user's devices, and still good. */
    isDeviceToken: (userId: string, given: string, now: Date): boolean => {
      const [, claims, end, mac] = /^([\w-]{22}\.(\d{10}))\.([\w-]{43})$/.exec(given) ?? []
      if (!claims || !mac || Number(end) * 1000 <= now.getTime()) return false
      return secrets.some((secret) => timingSafeEqual(signed(secret, userId, claims), Buffer.from(mac, 'base64url')))
    },
    /** What the device's own failures are counted under. */
    hashDeviceToken: (given: string): Buffer => createHash('sha256').update(`device:${given}`).digest(),
  }
}

export type DeviceTokens = ReturnType<typeof makeDeviceTokens>
