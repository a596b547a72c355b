import type { RouteLimit } from '#platform/http/limits.ts'
import type { Limits } from '#platform/limits/limits.ts'

/** What the routes that prove who somebody is allow, per address; guesses at one account are counted beside them. */
export const AUTH_LIMITS = {
  register: [{ name: 'register', per: 'address', points: 30, seconds: 3_600 }],
  logIn: [{ name: 'log-in', per: 'address', points: 60, seconds: 60 }],
  refresh: [{ name: 'refresh', per: 'address', points: 100, seconds: 60 }],
  askForMail: [{ name: 'ask-for-mail', per: 'address', points: 20, seconds: 3_600 }],
  useToken: [{ name: 'use-token', per: 'address', points: 30, seconds: 600 }],
} as const satisfies Record<string, readonly RouteLimit[]>

/** How often one address is sent what anybody can ask for in its name; beyond it the answer is the same, and nothing is sent. */
const MAIL_TO = { points: 5, seconds: 3_600 } as const

/** Whether this address may be written to once more; what is answered does not tell. */
export type MayGetMail = (to: { readonly email: string }) => Promise<boolean>

/** Counts what anybody asks for in an address's name, whichever route they use. */
export function limitMail(limits: Limits): MayGetMail {
  const mailTo = limits.define('mail-to', MAIL_TO)
  return async ({ email }) => (await mailTo.take(email)).allowed
}
