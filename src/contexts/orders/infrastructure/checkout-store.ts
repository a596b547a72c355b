import { sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Checkout } from '../application/switch-checkout.ts'

/** How long a pause waits for the orders that are being placed. */
const PATIENCE = '10s'
/** With the three seconds that caches in front may keep it, what a shop front sees is at most five seconds old. */
const KEPT_MS = 2_000

const columns = sql`paused, reason, changed_by as "changedBy", changed_at as "changedAt"`

/**
 * Holds only while checkout is open, and keeps a pause waiting until the transaction ends. The statement shares the table
 * before it takes its snapshot, so what it sees is what the pause left; locking a row that is not there writes nothing.
 */
export const checkoutIsOpen = sql`not exists (select from orders.checkout where paused for key share)`

export async function readCheckout(db: Reader): Promise<Checkout> {
  const { rows } = await sql<Checkout>`select ${columns} from orders.checkout`.execute(db)
  return rows[0] as Checkout
}

/** Waits for the orders that are being placed, at most ten seconds, and keeps others from beginning. */
export async function lockCheckout(work: Work): Promise<Checkout> {
  await sql`select set_config('lock_timeout', ${PATIENCE}, true)`.execute(work.tx)
  await sql`lock table orders.checkout in exclusive mode`.execute(work.tx)
  return readCheckout(work.tx)
}

export async function saveCheckout(work: Work, { paused, reason, changedBy, changedAt }: Checkout): Promise<void> {
  await sql`
    update orders.checkout set paused = ${paused}, reason = ${reason}, changed_by = ${changedBy},
      changed_at = ${changedAt}`.execute(work.tx)
}

/** Whether orders are taken, as a shop front is told: read once in two seconds, however many ask. */
export function makeCheckoutState(db: Reader, clock: Clock): () => Promise<'open' | 'paused'> {
  let known: { readonly at: number; readonly state: Promise<'open' | 'paused'> } | undefined
  return async () => {
    const at = clock().getTime()
    if (!known || at - known.at >= KEPT_MS)
      known = { at, state: readCheckout(db).then(({ paused }) => (paused ? 'paused' : 'open')) }
    const { state } = known
    return state.catch((error) => {
      known = undefined
      throw error
    })
  }
}
