import type { RawBuilder } from 'kysely'

/** One thing that breaks an invariant: what it is about, and what is wrong with it. */
export type Violation = { readonly subject: string; readonly detail: string }

/** A moment before which everything must have settled; what is younger may still be on its way. */
export type Settled = { readonly before: Date }

/** An invariant of the whole shop, asked of the live database as one read-only statement. */
export type Oracle = {
  /** Its name in the list of promises: O1 … O15. */
  readonly id: string
  /** What must hold, for people. */
  readonly claim: string
  /** Selects `subject` and `detail` of each violation; none when the invariant holds. */
  readonly violations: (settled: Settled) => RawBuilder<Violation>
}
