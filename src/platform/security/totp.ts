import { Secret, TOTP } from 'otpauth'

const STEP_SECONDS = 30
const SECRET_BYTES = 20
const STEPS_AROUND = 1

/** One-time codes of six digits that change every 30 seconds (RFC 6238), as every authenticator app makes them. */
export const totp = {
  /** 160 random bits, in base32. */
  newSecret: (): string => new Secret({ size: SECRET_BYTES }).base32,

  /** What an app reads from a QR code: the secret, and the names it is listed under. */
  uriOf: (secret: string, issuer: string, label: string): string => totpOf(secret, issuer, label).toString(),

  /** The step that this code belongs to, the present one or one beside it; undefined for a wrong code. */
  stepOf(secret: string, code: string, now: Date): number | undefined {
    const timestamp = now.getTime()
    const one = totpOf(secret)
    const delta = one.validate({ token: code, timestamp, window: STEPS_AROUND })
    return delta === null ? undefined : one.counter({ timestamp }) + delta
  },
}

export type Totp = typeof totp

const totpOf = (secret: string, issuer = '', label = '') =>
  new TOTP({
    ...{ issuer, label, secret: Secret.fromBase32(secret) },
    ...{ algorithm: 'SHA1', digits: 6, period: STEP_SECONDS },
  })
