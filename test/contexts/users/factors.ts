import { Secret, TOTP } from 'otpauth'
import { expect } from 'vitest'
import type { Sent, TestShop } from '../../kit/shop.ts'
import { bearer } from './people.ts'

/** What an authenticator app does, and what people do with it. */
export function factorsOf(shop: TestShop) {
  /** What an app with this secret shows, now or so many steps from now. */
  const codeOf = (secret: string, stepsFromNow = 0): string =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({
      timestamp: shop.clock.now.getTime() + stepsFromNow * 30_000,
    })
  const start = (session: Sent) => shop.send('POST', '/v1/auth/mfa/totp', undefined, bearer(session))
  const confirm = (session: Sent, code: string) =>
    shop.send('POST', '/v1/auth/mfa/totp/confirmation', { code }, bearer(session))
  return {
    codeOf,
    start,
    confirm,
    /** Another code than the one shown, now, before and after. */
    wrongCode: (secret: string): string => {
      const right = [-1, 0, 1].map((steps) => codeOf(secret, steps))
      return ['000000', '111111', '222222', '333333'].find((code) => !right.includes(code))!
    },
    /** Turns the second factor on for whoever is logged in. */
    enrol: async (session: Sent): Promise<{ secret: string; recoveryCodes: string[] }> => {
      const { secret } = (await start(session)).body
      const confirmed = await confirm(session, codeOf(secret))
      expect(confirmed.status, confirmed.text).toBe(200)
      return { secret, recoveryCodes: confirmed.body.recoveryCodes }
    },
    logIn: (body: { email: string; password: string; code?: string; deviceToken?: string }) =>
      shop.send('POST', '/v1/auth/login', body),
    reauthenticate: (session: Sent, body: { password: string; code?: string }) =>
      shop.send('POST', '/v1/auth/reauthentication', body, bearer(session)),
    status: async (session: Sent) => (await shop.send('GET', '/v1/auth/mfa', undefined, bearer(session))).body,
    renewCodes: (session: Sent) => shop.send('POST', '/v1/auth/mfa/recovery-codes', undefined, bearer(session)),
    remove: (session: Sent) => shop.send('DELETE', '/v1/auth/mfa/totp', undefined, bearer(session)),
  }
}
