import { type Kysely, sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'

/** What an event may take from the capture to its order before somebody should be told. */
const SETTLE_MS = 30_000

/** The one number that no context can know alone; must be 0. It starts from orders that have ended or wait: those are few. */
export const auditMeasures = (db: Kysely<{}>, clock: Clock): Measure[] => [
  {
    name: 'stoa_paid_without_order',
    help: 'Captured payments, neither given back nor of an order that is paid, for over 30 seconds: must be 0',
    read: async () => {
      const before = new Date(clock().getTime() - SETTLE_MS)
      const { rows } = await sql<{ value: number }>`
        select count(*)::int as value
        from orders.orders o join payments.payments p on p.id = o.payment_id
        where o.status in ('pending', 'expired', 'cancelled')
          and p.captured_minor > p.refunded_minor + p.refunding_minor
          and exists (select from payments.captures c where c.payment_id = p.id and c.captured_at < ${before})`.execute(
        db,
      )
      return rows
    },
  },
]
