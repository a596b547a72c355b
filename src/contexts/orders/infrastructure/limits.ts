import type { Limits } from '#platform/limits/limits.ts'

/** How often one address is written to about orders that nobody has paid: anybody can order in its name. */
const ORDER_MAIL_TO = { points: 20, seconds: 3_600 } as const

/** Counts the mails about unpaid orders by the address that they go to; beyond that nothing is sent. */
export function limitOrderMail(limits: Limits): (email: string) => Promise<boolean> {
  const orderMailTo = limits.define('order-mail-to', ORDER_MAIL_TO)
  return async (email) => (await orderMailTo.take(email.toLowerCase())).allowed
}
