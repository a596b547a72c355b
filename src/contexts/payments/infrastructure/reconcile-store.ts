import { sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'
import type { BookedObject, Reconciliation, Span } from '../application/reconcile-payments.ts'

/** Every object at a provider that the books know of, with what they say about it; of a span when there is one. */
export const bookedObjects = (reader: Reader, span?: Span): Promise<BookedObject[]> =>
  objects(
    reader,
    span &&
      sql`p.id in (
        select id from payments.payments where opened_at >= ${span.from} and opened_at < ${span.before}
        union select payment_id from payments.attempts where created_at >= ${span.from} and created_at < ${span.before})`,
  )

/** One object, when the books know it. */
export async function bookedObject(
  reader: Reader,
  provider: string,
  providerPaymentId: string,
): Promise<BookedObject | undefined> {
  const [one] = await objects(
    reader,
    sql`p.id in (
      select id from payments.payments where provider = ${provider} and provider_payment_id = ${providerPaymentId}
      union select payment_id from payments.captures
      where provider = ${provider} and provider_payment_id = ${providerPaymentId})`,
    providerPaymentId,
  )
  return one
}

async function objects(
  reader: Reader,
  which: ReturnType<typeof sql> = sql`true`,
  providerPaymentId: string | null = null,
): Promise<BookedObject[]> {
  const { rows } = await sql<BookedObject>`
    with known as (
      select p.id, p.status, p.provider, p.provider_payment_id from payments.payments p
      where p.provider_payment_id is not null and ${which}
      union select p.id, p.status, c.provider, c.provider_payment_id
      from payments.captures c join payments.payments p on p.id = c.payment_id where ${which}
    )
    select k.id, k.status, k.provider, k.provider_payment_id as "providerPaymentId",
      coalesce((select c.amount_minor from payments.captures c
        where c.provider = k.provider and c.provider_payment_id = k.provider_payment_id), 0) as "capturedMinor",
      coalesce((select sum(r.amount_minor) from payments.refunds r where r.status = 'succeeded'
        and r.payment_id = k.id and r.provider_payment_id = k.provider_payment_id), 0)::bigint as "refundedMinor",
      (select jsonb_build_object('open', coalesce(sum(d.amount_minor) filter (where d.status = 'open'), 0),
          'won', coalesce(sum(d.amount_minor) filter (where d.status = 'won'), 0),
          'lost', coalesce(sum(d.amount_minor) filter (where d.status = 'lost'), 0))
        from payments.disputes d
        where d.payment_id = k.id and d.provider_payment_id = k.provider_payment_id) as disputed
    from known k where ${providerPaymentId}::text is null or k.provider_payment_id = ${providerPaymentId}
    order by k.id`.execute(reader)
  return rows
}

/** Whether this is the id of one of our payments. */
export async function isOurs(reader: Reader, reference: string): Promise<boolean> {
  const { rows } = await sql`select id from payments.payments where id = ${reference}`.execute(reader)
  return rows.length > 0
}

/** Keeps what a reconciliation came to. */
export async function noteReconciliation(
  reader: Reader,
  now: Date,
  { from, before }: Span,
  { compared, healed, open }: Reconciliation,
): Promise<void> {
  await sql`
    insert into payments.reconciliations (from_at, before_at, compared, healed, open, ended_at)
    values (${from}, ${before}, ${compared}, ${JSON.stringify(healed)}::jsonb, ${JSON.stringify(open)}::jsonb, ${now})`.execute(
    reader,
  )
}

/** What the last reconciliation left to a person, and how long ago it was. */
export const reconcileMeasures = (db: Reader, clock: () => Date): Measure[] => [
  {
    name: 'stoa_payments_unreconciled',
    help: 'Differences between books and providers that the last reconciliation left to a person',
    read: async () => [
      {
        value: await number(
          db,
          sql`select coalesce((select jsonb_array_length(open) from payments.reconciliations order by id desc limit 1), 0) as value`,
        ),
      },
    ],
  },
  {
    name: 'stoa_payments_reconciled_seconds',
    help: 'Seconds since the last reconciliation; 0 before the first',
    read: async () => [
      {
        value: await number(
          db,
          sql`select coalesce(extract(epoch from ${clock()}::timestamptz - max(ended_at)), 0)::float8 as value from payments.reconciliations`,
        ),
      },
    ],
  },
]

const number = async (db: Reader, query: ReturnType<typeof sql<{ value: number }>>): Promise<number> =>
  (await query.execute(db)).rows[0]?.value ?? 0
