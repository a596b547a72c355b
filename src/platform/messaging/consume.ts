import { sql } from 'kysely'
import type { Reaction, Reactions, StoredEvent, Work } from '#platform/db/work.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'

/** Longer than a batch takes, shorter than PostgreSQL leaves a transaction idle. */
const REACTION_MS = 10_000

/** One consumer: the event type it listens to, its stored name and what it does. */
export type Consumer = { readonly type: string; readonly name: string; readonly react: Reaction }

/** Flattens the contexts' `on` tables; a name used twice is a programming error. */
export function consumersOf(tables: readonly Reactions[]): readonly Consumer[] {
  const consumers = tables.flatMap((table) =>
    Object.entries(table).flatMap(([type, byName]) =>
      Object.entries(byName).map(([name, react]) => ({ type, name, react })),
    ),
  )
  const keys = consumers.map((consumer) => `${consumer.name} ${consumer.type}`)
  const twice = keys.find((key, index) => keys.indexOf(key) !== index)
  if (twice) throw new Error(`The consumer ${twice} is declared twice.`)
  return consumers
}

/**
 * Lets one consumer take a batch in the caller's transaction: events it has already taken are left out, so an effect
 * happens once however often an event is delivered.
 */
export async function consume(work: Work, consumer: Consumer, events: readonly StoredEvent[]): Promise<void> {
  const ids = events.map((event) => event.id)
  const { rows } = await sql<{ event_id: number }>`
    insert into platform.consumed (consumer, event_id, consumed_at)
    select ${consumer.name}::text, id, ${work.now}::timestamptz from unnest(${ids}::bigint[]) as id
    on conflict do nothing returning event_id`.execute(work.tx)
  if (rows.length === 0) return
  const fresh = new Set(rows.map((row) => row.event_id))
  await inTime(
    consumer,
    consumer.react(work, rows.length === events.length ? events : events.filter((event) => fresh.has(event.id))),
  )
  await failpoint('consumer.before-ack')
}

/** Who hangs has failed: what it does later in its transaction is refused, as that is over. */
async function inTime({ name }: Consumer, reacting: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${name} took longer than ${REACTION_MS} ms.`)), REACTION_MS)
  })
  await Promise.race([reacting, late]).finally(() => clearTimeout(timer))
}
