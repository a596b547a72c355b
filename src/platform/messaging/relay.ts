import { sql } from 'kysely'
import type { Perform } from '#platform/db/perform.ts'
import { systemActor } from '#platform/db/system.ts'
import type { StoredEvent, Work } from '#platform/db/work.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { Transport } from './transport.ts'

const BATCH = 100

type EventRow = Omit<StoredEvent, 'requestId' | 'occurredAt'> & { request_id: string; occurred_at: Date }

export type Relay = {
  /** Publishes the next batch of what is unpublished; resolves with whether there may be more. */
  readonly publish: () => Promise<boolean>
  /** Publishes what is unpublished until nothing is left; returns how many events that were. */
  readonly drain: () => Promise<number>
}

/**
 * Hands committed events to a transport. Unpublished rows are claimed with `for no key update skip locked`, never by
 * "id greater than the last": sequence values commit out of order, and such a relay skips events.
 */
export function makeRelay(perform: Perform, transport: Transport, log: Log): Relay {
  const command = { actor: systemActor, requestId: 'relay' }

  const publishBatch = () =>
    perform(command, async (work) => {
      const events = await claim(work)
      if (events.length === 0) return events
      await transport.deliver(work, events)
      await failpoint('event.published')
      await markPublished(work, events)
      return events
    })

  /** After a batch failed: each consumer by itself, its failures noted, so that one poisoned event stops no other. */
  const publishApart = async () => {
    const events = await perform(command, claim)
    await transport.deliverApart(events)
    await perform(command, (work) => markPublished(work, events))
    return events
  }

  const publishNext = () =>
    publishBatch().catch((error) => {
      log.warn({ err: error }, 'a batch of events failed, delivering it to each consumer by itself')
      return publishApart()
    })

  return {
    publish: async () => (await publishNext()).length === BATCH,
    drain: async () => {
      for (let total = 0; ; ) {
        const { length } = await publishNext()
        total += length
        if (length < BATCH) return total
      }
    },
  }
}

/** Locked as an update locks them that changes no key: notes about failures may refer to them meanwhile. */
async function claim(work: Work): Promise<StoredEvent[]> {
  const { rows } = await sql<EventRow>`
    select id, type, subject, data, request_id, occurred_at from platform.events
    where published_at is null order by id limit ${BATCH} for no key update skip locked`.execute(work.tx)
  if (rows.length > 0) await failpoint('event.claimed')
  return rows.map(({ request_id, occurred_at, ...event }) => ({
    ...event,
    requestId: request_id,
    occurredAt: occurred_at,
  }))
}

async function markPublished(work: Work, events: readonly StoredEvent[]): Promise<void> {
  const ids = events.map((event) => event.id)
  await sql`update platform.events set published_at = ${work.now} where id = any(${ids}::bigint[])`.execute(work.tx)
}
