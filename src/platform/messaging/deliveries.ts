import { sql } from 'kysely'
import type { Reader, StoredEvent } from '#platform/db/work.ts'
import { withoutSecrets } from '#platform/telemetry/log.ts'

/**
 * The pause after each failed try, before the event is parked for an operator. The first one was in a batch, which fails as
 * a whole: whose fault it was shows when each of its events is tried by itself, at once.
 */
const PAUSES_MS = [0, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000]
const LEASE_MS = 60_000
const LEASED_AT_ONCE = 20

/** An event that a consumer, known by its name, could not take so many times. */
export type Delivery = { readonly consumer: string; readonly event: StoredEvent; readonly failures: number }

/** Whether so many failures are the last: the event is parked then. */
export const isLast = (failures: number): boolean => failures > PAUSES_MS.length

type DueRow = {
  consumer: string
  attempts: number
  id: number
  type: string
  subject: string
  data: object
  request_id: string
  occurred_at: Date
}

/** Leases due deliveries for a minute, so that two processes do not try the same one at once. */
export async function claimDue(db: Reader, now: Date): Promise<Delivery[]> {
  const leasedUntil = new Date(now.getTime() + LEASE_MS)
  const { rows } = await sql<DueRow>`
    with due as (
      select consumer, event_id from platform.deliveries
      where parked_at is null and next_attempt_at <= ${now}
      order by next_attempt_at limit ${LEASED_AT_ONCE} for update skip locked
    ), leased as (
      update platform.deliveries d set next_attempt_at = ${leasedUntil}
      from due where d.consumer = due.consumer and d.event_id = due.event_id
      returning d.consumer, d.event_id, d.attempts
    )
    select l.consumer, l.attempts, e.id, e.type, e.subject, e.data, e.request_id, e.occurred_at
    from leased l join platform.events e on e.id = l.event_id order by e.id`.execute(db)
  return rows.map(({ consumer, attempts, request_id, occurred_at, ...event }) => ({
    consumer,
    failures: attempts,
    event: { ...event, requestId: request_id, occurredAt: occurred_at },
  }))
}

/** Notes that it was taken at last. */
export const forgetFailure = (db: Reader, consumer: string, eventId: number) =>
  sql`delete from platform.deliveries where consumer = ${consumer} and event_id = ${eventId}`.execute(db)

/**
 * Notes one more failure of these events with its reason, and when the next try is, if there is one. What somebody else took
 * or noted meanwhile, as the lease of who failed was over, stands.
 */
export async function noteFailures(
  db: Reader,
  { consumer, events, failures }: Omit<Delivery, 'event'> & { readonly events: readonly StoredEvent[] },
  now: Date,
  error: unknown,
): Promise<void> {
  const pauseMs = PAUSES_MS[failures - 1]
  const nextAttemptAt = pauseMs === undefined ? null : new Date(now.getTime() + pauseMs)
  const parkedAt = pauseMs === undefined ? now : null
  const reason = withoutSecrets(error instanceof Error ? error.message : String(error)).slice(0, 500)
  await sql`
    insert into platform.deliveries (consumer, event_id, attempts, next_attempt_at, last_error, parked_at)
    select ${consumer}::text, id, ${failures}::int, ${nextAttemptAt}::timestamptz, ${reason}::text, ${parkedAt}::timestamptz
    from unnest(${events.map(({ id }) => id)}::bigint[]) as id
    where not exists (select from platform.consumed c where c.consumer = ${consumer} and c.event_id = id)
    on conflict (consumer, event_id) do update set attempts = excluded.attempts,
      next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error, parked_at = excluded.parked_at
    where deliveries.attempts < excluded.attempts`.execute(db)
}
