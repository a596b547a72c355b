import { sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'
import { readCheckout } from './checkout-store.ts'

/** The numbers of orders that an operator watches. */
export const orderMeasures = (db: Reader, clock: Clock): Measure[] => [
  {
    name: 'stoa_orders',
    help: 'Orders by status',
    labels: ['status'],
    read: async () => {
      const { rows } = await sql<{ status: string; value: number }>`
        select status, count(*) as value from orders.orders group by status`.execute(db)
      return rows.map(({ status, value }) => ({ labels: { status }, value }))
    },
  },
  {
    name: 'stoa_oldest_pending_order_seconds',
    help: 'Age of the oldest order that waits for its payment; 0 when none does',
    read: async () => {
      const { rows } = await sql<{ placed_at: Date | null }>`
        select min(placed_at) as placed_at from orders.orders where status = 'pending'`.execute(db)
      const placedAt = rows[0]?.placed_at
      return [{ value: placedAt ? Math.max(0, (clock().getTime() - placedAt.getTime()) / 1000) : 0 }]
    },
  },
  {
    name: 'stoa_overdue_holds',
    help: 'Pending orders whose hold ended over a minute ago: expiry is not keeping up',
    read: async () => {
      const before = new Date(clock().getTime() - 60_000)
      const { rows } = await sql<{ value: number }>`
        select count(*) as value from orders.orders where status = 'pending' and hold_until < ${before}`.execute(db)
      return rows
    },
  },
  {
    name: 'stoa_checkout_paused',
    help: '1 while placing orders is paused by hand, else 0',
    read: async () => [{ value: (await readCheckout(db)).paused ? 1 : 0 }],
  },
]
