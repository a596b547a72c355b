import type { StoredEvent, Work } from '#platform/db/work.ts'

/**
 * Takes batches of events from the relay. `deliver` runs in the transaction that marks the batch published: what it
 * throws leaves the whole batch unpublished, and the relay then hands over the events one by one.
 */
export type Transport = {
  readonly deliver: (work: Work, events: readonly StoredEvent[]) => Promise<void>
  /** Takes one event that the batch failed on; must not throw for a failing consumer. */
  readonly deliverAlone: (event: StoredEvent) => Promise<void>
}
