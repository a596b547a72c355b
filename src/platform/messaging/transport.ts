import type { StoredEvent, Work } from '#platform/db/work.ts'

/**
 * Takes batches of events from the relay. `deliver` runs in the transaction that marks the batch published: what it
 * throws leaves the whole batch unpublished, and the relay then hands it over to each consumer by itself.
 */
export type Transport = {
  readonly deliver: (work: Work, events: readonly StoredEvent[]) => Promise<void>
  /** Takes a batch that failed as a whole, in transactions of its own; must not throw for a failing consumer. */
  readonly deliverApart: (events: readonly StoredEvent[]) => Promise<void>
}
