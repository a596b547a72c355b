import type { Client } from 'pg'

/** What became of an order: when it expired, how often its stock came back, and what moved its money. */
export type Fate = {
  readonly id: string
  readonly intent: string
  readonly status: string
  readonly expiredAt: Date | null
  readonly closingSince: Date | null
  readonly heldUntil: Date | null
  readonly expiries: number
  readonly freed: number
  readonly told: boolean
}

/** What became of these orders, in order of their ids. */
export const fatesOf = async (witness: Client, orders: readonly { readonly id: string }[]): Promise<Fate[]> =>
  (await witness.query(FATES, [orders.map(({ id }) => id)])).rows

const FATES = `
  select o.id, p.provider_payment_id as intent, o.status, o.hold_until as "heldUntil", p.closing_since as "closingSince",
    (select min(t.at) from orders.timeline t where t.order_id = o.id and t.kind = 'expired') as "expiredAt",
    (select count(*)::int from platform.events e where e.subject = o.id and e.type = 'orders.expired.v1') as expiries,
    (select count(*)::int from catalog.movements m where m.reference = o.id and m.reason = 'expired') as freed,
    exists (select from orders.mails m join platform.events e on e.id = m.event_id
      where e.subject = o.id and e.type = 'orders.unfulfillable.v1' and m.sent_at is not null) as told
  from orders.orders o join payments.payments p on p.order_id = o.id where o.id = any($1) order by o.id`

/** Which of them did not expire and come free exactly once. */
export const notOnce = ({ id, expiries, freed }: Fate): string[] =>
  expiries === 1 && freed === 1 ? [] : [`${id}: expired ${expiries} times, freed ${freed} times`]
