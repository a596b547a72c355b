import { sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { Perform } from '#platform/db/perform.ts'
import { systemActor } from '#platform/db/system.ts'
import type { Reader, StoredEvent } from '#platform/db/work.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { type Consumer, consume } from './consume.ts'
import type { Transport } from './transport.ts'

/** Tries before an event is parked for an operator, and the pause after each failed one. */
const PAUSES_MS = [200, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000]
const MAX_RETRIES_PER_POLL = 20

export type LocalTransport = Transport & {
  /** Gives events that failed before another try when their pause is over; returns how many were tried. */
  readonly retryDue: () => Promise<number>
}

/** The default transport: consumers run in this process, in the transaction that marks the events published. */
export function makeLocalTransport(
  perform: Perform,
  db: Reader,
  consumers: readonly Consumer[],
  clock: Clock,
  log: Log,
): LocalTransport {
  const byType = Map.groupBy(consumers, (consumer) => consumer.type)

  const tryAlone = async (consumer: Consumer, event: StoredEvent, failures: number): Promise<void> => {
    const command = { actor: systemActor, requestId: event.requestId }
    try {
      await perform(command, async (work) => {
        await consume(work, consumer, [event])
        if (failures > 0) await forgetFailure(work.tx, consumer.name, event.id)
      })
    } catch (error) {
      const pauseMs = PAUSES_MS[failures]
      log.warn(
        { consumer: consumer.name, eventId: event.id, type: event.type, failures: failures + 1, err: error },
        pauseMs === undefined ? 'event parked' : 'event failed, to be tried again',
      )
      await noteFailure(db, consumer.name, event.id, failures + 1, pauseMs, clock(), error)
    }
  }

  return {
    deliver: async (work, events) => {
      for (const consumer of consumers) {
        const wanted = events.filter((event) => event.type === consumer.type)
        if (wanted.length > 0) await consume(work, consumer, wanted)
      }
    },
    deliverAlone: async (event) => {
      for (const consumer of byType.get(event.type) ?? []) await tryAlone(consumer, event, 0)
    },
    retryDue: async () => {
      const due = await claimDue(db, clock())
      for (const { consumer: name, attempts, event } of due) {
        const consumer = byType.get(event.type)?.find((one) => one.name === name)
        if (consumer) await tryAlone(consumer, event, attempts)
      }
      return due.length
    },
  }
}

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
async function claimDue(db: Reader, now: Date) {
  const leasedUntil = new Date(now.getTime() + 60_000)
  const { rows } = await sql<DueRow>`
    with due as (
      select consumer, event_id from platform.deliveries
      where parked_at is null and next_attempt_at <= ${now}
      order by next_attempt_at limit ${MAX_RETRIES_PER_POLL} for update skip locked
    ), leased as (
      update platform.deliveries d set next_attempt_at = ${leasedUntil}
      from due where d.consumer = due.consumer and d.event_id = due.event_id
      returning d.consumer, d.event_id, d.attempts
    )
    select l.consumer, l.attempts, e.id, e.type, e.subject, e.data, e.request_id, e.occurred_at
    from leased l join platform.events e on e.id = l.event_id order by e.id`.execute(db)
  return rows.map(({ consumer, attempts, request_id, occurred_at, ...event }) => ({
    consumer,
    attempts,
    event: { ...event, requestId: request_id, occurredAt: occurred_at },
  }))
}

const forgetFailure = (db: Reader, consumer: string, eventId: number) =>
  sql`delete from platform.deliveries where consumer = ${consumer} and event_id = ${eventId}`.execute(db)

async function noteFailure(
  db: Reader,
  consumer: string,
  eventId: number,
  attempts: number,
  pauseMs: number | undefined,
  now: Date,
  error: unknown,
): Promise<void> {
  const nextAttemptAt = pauseMs === undefined ? null : new Date(now.getTime() + pauseMs)
  const parkedAt = pauseMs === undefined ? now : null
  const reason = (error instanceof Error ? error.message : String(error)).slice(0, 500)
  await sql`
    insert into platform.deliveries (consumer, event_id, attempts, next_attempt_at, last_error, parked_at)
    values (${consumer}, ${eventId}, ${attempts}, ${nextAttemptAt}, ${reason}, ${parkedAt})
    on conflict (consumer, event_id) do update set attempts = excluded.attempts,
      next_attempt_at = excluded.next_attempt_at, last_error = excluded.last_error, parked_at = excluded.parked_at
  `.execute(db)
}
