import { sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'

/** Business numbers: what waits, and what waits for a person. */
export const paymentsMeasures = (db: Reader, clock: () => Date): Measure[] => [
  measure('stoa_payments_oldest_webhook_seconds', 'Age of the oldest webhook that is not worked on yet', () =>
    one(
      db,
      sql`select coalesce(extract(epoch from ${clock()}::timestamptz - min(received_at)), 0)::float8 as value
      from payments.inbox where due_at is not null`,
    ),
  ),
  measure('stoa_payments_parked_webhooks', 'Webhooks that were given up and wait for a person', () =>
    one(db, sql`select count(*)::int as value from payments.inbox where parked_at is not null`),
  ),
  measure('stoa_payments_in_review', 'Payments that wait for a person', () =>
    one(db, sql`select count(*)::int as value from payments.payments where review_reason is not null`),
  ),
  measure(
    'stoa_payments_open_disputes',
    'Disputes that are open: each has a day by which the bank wants an answer',
    () => one(db, sql`select count(*)::int as value from payments.disputes where status = 'open'`),
  ),
  measure('stoa_payments_lapsing_authorisations', 'Authorised payments that the provider lets go within 24 hours', () =>
    one(
      db,
      sql`select count(*)::int as value from payments.payments
      where status = 'authorised' and authorised_until < ${clock()}::timestamptz + interval '24 hours'`,
    ),
  ),
  measure('stoa_payments_attempts_past_lease', 'Attempts that should have been healed a minute ago', () =>
    one(
      db,
      sql`select count(*)::int as value from payments.attempts
      where lease_until < ${clock()}::timestamptz - interval '1 minute'`,
    ),
  ),
  measure('stoa_payments_refunds_failed', 'Payments with a refund that failed, and none sent since', () =>
    one(
      db,
      sql`select count(distinct r.payment_id)::int as value from payments.refunds r
      where r.status = 'failed' and not exists (
        select from payments.refunds l
        where l.payment_id = r.payment_id and l.status <> 'failed' and l.created_at > r.created_at)`,
    ),
  ),
  measure('stoa_payments_refunds_unsent', 'Refunds that no provider has confirmed within five minutes', () =>
    one(
      db,
      sql`select count(*)::int as value from payments.refunds
      where lease_until is not null and created_at < ${clock()}::timestamptz - interval '5 minutes'`,
    ),
  ),
]

const measure = (name: string, help: string, value: () => Promise<number>): Measure => ({
  name,
  help,
  read: async () => [{ value: await value() }],
})

const one = async (db: Reader, query: ReturnType<typeof sql<{ value: number }>>): Promise<number> =>
  (await query.execute(db)).rows[0]?.value ?? 0
