import { sql } from 'kysely'
import type { Perform } from '#platform/db/perform.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'

/** An event that one consumer could not take, however often it was tried. */
export type DeadLetter = {
  readonly id: string
  readonly consumer: string
  readonly eventId: number
  readonly type: string
  readonly subject: string
  readonly attempts: number
  readonly error: string
  readonly parkedAt: string
}

type Row = Omit<DeadLetter, 'id' | 'parkedAt' | 'eventId'> & { event_id: number; parked_at: Date }

/** Lists parked events, oldest first, after the given place. */
export async function listDeadLetters(
  db: Reader,
  limit: number,
  after: { eventId: number; consumer: string },
): Promise<DeadLetter[]> {
  const { rows } = await sql<Row>`
    select d.consumer, d.event_id, e.type, e.subject, d.attempts, d.last_error as error, d.parked_at
    from platform.deliveries d join platform.events e on e.id = d.event_id
    where d.parked_at is not null and (d.event_id, d.consumer) > (${after.eventId}, ${after.consumer})
    order by d.event_id, d.consumer limit ${limit}`.execute(db)
  return rows.map(({ event_id, parked_at, ...row }) => ({
    id: `${event_id}:${row.consumer}`,
    eventId: event_id,
    parkedAt: parked_at.toISOString(),
    ...row,
  }))
}

/** Gives one parked event back to its consumer; false when it is not parked. What was consumed has no second effect. */
export async function replayDeadLetter(work: Work, eventId: number, consumer: string): Promise<boolean> {
  const { rows } = await sql<{ consumer: string }>`
    update platform.deliveries set parked_at = null, next_attempt_at = ${work.now}, attempts = 1
    where event_id = ${eventId} and consumer = ${consumer} and parked_at is not null
    returning consumer`.execute(work.tx)
  if (rows.length > 0)
    work.audit({
      action: 'events.replay',
      subject: `${eventId}:${consumer}`,
      before: { parked: true },
      after: { parked: false },
    })
  return rows.length > 0
}

/** Gives all parked events back to their consumers; returns how many. */
export const replayAll = (perform: Perform, command: Parameters<Perform>[0]): Promise<number> =>
  perform(command, async (work) => {
    const { rows } = await sql<{ event_id: number }>`
      update platform.deliveries set parked_at = null, next_attempt_at = ${work.now}, attempts = 1
      where parked_at is not null returning event_id`.execute(work.tx)
    await failpoint('delivery.before-replay')
    if (rows.length > 0)
      work.audit({ action: 'events.replay', subject: 'all', before: { parked: rows.length }, after: { parked: 0 } })
    return rows.length
  })

/** Numbers that tell whether events flow. */
export const messagingMeasures = (db: Reader): Measure[] => [
  {
    name: 'stoa_oldest_unpublished_event_seconds',
    help: 'Age of the oldest event that is not published',
    read: async () => {
      const { rows } = await sql<{ age: number }>`
        select coalesce(extract(epoch from now() - min(occurred_at)), 0)::float8 as age
        from platform.events where published_at is null`.execute(db)
      return [{ value: rows[0]?.age ?? 0 }]
    },
  },
  {
    name: 'stoa_parked_events',
    help: 'Events that a consumer gave up on: they wait for an operator',
    read: async () => {
      const { rows } = await sql<{ parked: number }>`
        select count(*) as parked from platform.deliveries where parked_at is not null`.execute(db)
      return [{ value: rows[0]?.parked ?? 0 }]
    },
  },
]

/** Removes published events that are older than 30 days, with what is known of their consumers; parked ones stay. */
export async function forgetOldEvents(db: Reader, now: Date): Promise<number> {
  const before = new Date(now.getTime() - 30 * 24 * 60 * 60_000)
  const { rows } = await sql<{ removed: number }>`
    with old as (
      select id from platform.events e where published_at < ${before}
        and not exists (select from platform.deliveries d where d.event_id = e.id)
      order by id limit 10000
    ), unconsumed as (delete from platform.consumed where event_id in (select id from old)),
    removed as (delete from platform.events where id in (select id from old) returning 1)
    select count(*) as removed from removed`.execute(db)
  return rows[0]?.removed ?? 0
}
