import type { RouteLimit } from '#platform/http/limits.ts'

/** What the routes that prove who somebody is allow, per address; guesses at one account are counted beside them. */
export const AUTH_LIMITS = {
  register: [{ name: 'register', per: 'address', points: 30, seconds: 3_600 }],
  logIn: [{ name: 'log-in', per: 'address', points: 60, seconds: 60 }],
  refresh: [{ name: 'refresh', per: 'address', points: 100, seconds: 60 }],
  askForMail: [{ name: 'ask-for-mail', per: 'address', points: 20, seconds: 3_600 }],
  useToken: [{ name: 'use-token', per: 'address', points: 30, seconds: 600 }],
} as const satisfies Record<string, readonly RouteLimit[]>

/** How often one address is sent what anybody can ask for in its name; beyond it the answer is the same, and nothing is sent. */
export const MAIL_TO = { points: 5, seconds: 3_600 } as const
