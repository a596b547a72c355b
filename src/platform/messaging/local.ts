import type { Clock } from '#kernel/clock.ts'
import type { Perform } from '#platform/db/perform.ts'
import { systemActor } from '#platform/db/system.ts'
import type { Reader, StoredEvent } from '#platform/db/work.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { type Consumer, consume } from './consume.ts'
import { claimDue, forgetFailure, isLast, noteFailures } from './deliveries.ts'
import type { Transport } from './transport.ts'

const asRelay = { actor: systemActor, requestId: 'relay' }

export type LocalTransport = Transport & {
  /** Gives the next events that failed before another try, when their pause is over; resolves with whether there may be more. */
  readonly retryDue: () => Promise<boolean>
}

/**
 * The default transport: consumers run in this process, in the transaction that marks the events published. `retrySoon` is
 * told when something failed, and is to call `retryDue`: whatever waits for its next try holds up no other event.
 */
export function makeLocalTransport(
  perform: Perform,
  db: Reader,
  consumers: readonly Consumer[],
  clock: Clock,
  log: Log,
  retrySoon: () => void,
): LocalTransport {
  const byFact = Map.groupBy(consumers, ({ type }) => factOf(type))
  const find = (name: string, type: string) => consumers.find((one) => one.name === name && one.type === type)

  /** Each consumer that hears any of these events, with those. */
  const hearers = (events: readonly StoredEvent[]) =>
    consumers.flatMap((consumer) => {
      const wanted = events.filter((event) => event.type === consumer.type)
      return wanted.length > 0 ? [{ consumer, wanted }] : []
    })

  /** A fact in a version that its consumer does not take is no news that nobody waits for: a process of another release may. */
  const noteStrange = async (reader: Reader, events: readonly StoredEvent[]) => {
    for (const event of events)
      for (const { name } of byFact.get(factOf(event.type)) ?? [])
        if (!find(name, event.type))
          await noteFailures(reader, { consumer: name, events: [event], failures: 1 }, clock(), unknown(name, event))
  }

  const tryAlone = async (name: string, event: StoredEvent, failures: number): Promise<void> => {
    try {
      const consumer = find(name, event.type)
      if (!consumer) throw unknown(name, event)
      await perform({ actor: systemActor, requestId: event.requestId }, async (work) => {
        await consume(work, consumer, [event])
        await failpoint('delivery.before-forget')
        await forgetFailure(work.tx, name, event.id)
      })
    } catch (error) {
      const parked = isLast(failures + 1)
      log.warn(
        { consumer: name, eventId: event.id, type: event.type, failures: failures + 1, err: error },
        parked ? 'event parked' : 'event failed, to be tried again',
      )
      if (parked) await failpoint('delivery.before-park')
      await noteFailures(db, { consumer: name, events: [event], failures: failures + 1 }, clock(), error)
    }
  }

  return {
    deliver: async (work, events) => {
      for (const { consumer, wanted } of hearers(events)) await consume(work, consumer, wanted)
      await noteStrange(work.tx, events)
    },
    deliverApart: async (events) => {
      for (const { consumer, wanted } of hearers(events))
        await perform(asRelay, (work) => consume(work, consumer, wanted)).catch((error) =>
          noteFailures(db, { consumer: consumer.name, events: wanted, failures: 1 }, clock(), error),
        )
      await noteStrange(db, events)
      retrySoon()
    },
    retryDue: async () => {
      const due = await claimDue(db, clock())
      if (due.length > 0) await failpoint('delivery.leased')
      for (const { consumer, event, failures } of due) await tryAlone(consumer, event, failures)
      return due.length > 0
    },
  }
}

/** `orders.paid.v1` → `orders.paid`. */
const factOf = (type: string): string => type.replace(/\.v\d+$/, '')

const unknown = (name: string, { type }: StoredEvent) =>
  new Error(`This version of Stoa knows no ${name} that takes ${type}.`)
