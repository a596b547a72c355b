import { type RawBuilder, sql } from 'kysely'
import type { OrderId, VariantId } from '#kernel/ids.ts'
import { actorIdOf } from '#platform/db/system.ts'
import type { Work } from '#platform/db/work.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import type { Hold } from '../domain/hold.ts'
import { refuse } from '../domain/problems.ts'
import { MAIN_LOCATION } from '../domain/stock.ts'

/** So many units of a variant. */
export type Units = { readonly variantId: VariantId; readonly quantity: number }

/**
 * Holds every line that is on sale at the price seen and available, in one statement, and tells which those are. The rows
 * are locked in the order of their ids first; what counts is what they hold once they are locked: all of it is written
 * back, as an update checks constraints on the row as it was before the wait.
 */
export async function takeStock(work: Work, { reference, currency, lines }: Hold): Promise<VariantId[]> {
  const { rows } = await sql<{ variant_id: VariantId }>`
    with wanted as (
      select variant_id, quantity, price_minor
      from unnest(${lines.map((line) => line.variantId)}::text[], ${lines.map((line) => line.quantity)}::int[],
        ${lines.map((line) => line.unitPriceMinor)}::bigint[]) as given (variant_id, quantity, price_minor)),
    locked as (
      select s.variant_id, s.on_hand, s.held, s.committed, s.tracked, s.back_order, s.shortage,
        not s.tracked or s.back_order or s.on_hand - s.held - s.committed >= w.quantity as enough
      from catalog.stock s join wanted w using (variant_id)
      where s.location = ${MAIN_LOCATION} order by s.variant_id for update of s),
    taken as (
      update catalog.stock s set held = l.held + w.quantity, on_hand = l.on_hand, committed = l.committed,
        tracked = l.tracked, back_order = l.back_order, shortage = l.shortage
      from locked l
      join wanted w using (variant_id)
      join catalog.variants v on v.id = w.variant_id and v.status = 'active'
      join catalog.products p on p.id = v.product_id and p.status = 'active'
      join catalog.prices c on c.variant_id = v.id and c.currency = ${currency} and c.amount_minor = w.price_minor
      where s.variant_id = l.variant_id and s.location = ${MAIN_LOCATION} and l.enough
      returning s.variant_id, s.location, w.quantity),
    holds as (
      insert into catalog.holds (reference, variant_id, location, quantity, held, held_at)
      select ${reference}::text, variant_id, location, quantity, quantity, ${work.now}::timestamptz from taken),
    movements as (
      insert into catalog.movements (variant_id, location, held_change, reason, reference, occurred_at)
      select variant_id, location, quantity, 'held', ${reference}::text, ${work.now}::timestamptz from taken)
    select variant_id from taken`.execute(work.tx)
  await failpoint('stock.held')
  return rows.map((row) => row.variant_id)
}

/** Makes what these orders hold committed: they are paid. Answers which had anything held; for the others it is done already. */
export async function commitStock(work: Work, references: readonly OrderId[]): Promise<OrderId[]> {
  const changes = changesOf(
    { held: sql`-h.held`, committed: sql`h.held` },
    sql`where h.reference = any(${references}::text[]) and h.held > 0`,
  )
  return settle(work, changes, 'committed')
}

/** Frees what these orders hold or have committed; what is free already stays so. */
export async function releaseStock(
  work: Work,
  references: readonly OrderId[],
  reason: 'expired' | 'cancelled',
): Promise<void> {
  const changes = changesOf(
    { held: sql`-h.held`, committed: sql`-h.committed`, released: sql`h.held + h.committed` },
    sql`where h.reference = any(${references}::text[]) and h.held + h.committed > 0`,
  )
  await settle(work, changes, reason)
}

/**
 * Ends what a cancelled order holds without putting it back for sale: the units leave what is on hand, where it is
 * counted. Refuses catalog.nothing-on-hand.
 */
export async function writeOffStock(work: Work, reference: OrderId): Promise<void> {
  const changes = changesOf(
    {
      held: sql`-h.held`,
      committed: sql`-h.committed`,
      released: sql`h.held + h.committed`,
      onHand: sql`-h.held - h.committed`,
    },
    sql`where h.reference = ${reference} and h.held + h.committed > 0`,
  )
  const settled = await settle(work, changes, 'cancelled', sql`not l.tracked or l.on_hand + t.on_hand_change >= 0`)
  if (settled.length === 0)
    throw refuse('catalog.nothing-on-hand', 'There is not as much on hand as is to be written off.')
}

/** Takes again, as committed, what an order had to let go. False, and nothing changed, when there is no longer enough. */
export async function reholdStock(work: Work, reference: OrderId): Promise<boolean> {
  const changes = changesOf(
    { committed: sql`h.released`, released: sql`-h.released` },
    sql`where h.reference = ${reference} and h.released > 0`,
  )
  const enough = sql`not l.tracked or l.back_order or l.on_hand - l.held - l.committed >= t.committed_change`
  const settled = await settle(work, changes, 'reheld', enough)
  return settled.length > 0
}

/** Ships committed units: they leave what is on hand, where it is counted. Refuses catalog.nothing-on-hand. */
export async function shipStock(work: Work, reference: OrderId, lines: readonly Units[]): Promise<void> {
  const changes = changesOf(
    { committed: sql`-w.quantity`, shipped: sql`w.quantity`, onHand: sql`-w.quantity` },
    sql`join (${unitsOf(lines)}) w using (variant_id) where h.reference = ${reference} and h.committed >= w.quantity`,
  )
  const enough = sql`(not l.tracked or l.on_hand + t.on_hand_change >= 0) and ${isComplete(lines)}`
  const settled = await settle(work, changes, 'shipped', enough)
  if (settled.length === 0)
    throw refuse('catalog.nothing-on-hand', undefined, { errors: await whyNotShipped(work, lines) })
}

/**
 * Puts units back for sale: of a paid order that will not ship (`committed`), or that came back (`returned`: they are on
 * hand again). Throws when the order has not as many: its own counters are to prevent that.
 */
export async function restockStock(
  work: Work,
  reference: OrderId,
  lines: readonly Units[],
  from: 'committed' | 'returned',
): Promise<void> {
  const returned = from === 'returned'
  const changes = changesOf(
    returned
      ? { returned: sql`w.quantity`, onHand: sql`w.quantity` }
      : { committed: sql`-w.quantity`, released: sql`w.quantity` },
    sql`join (${unitsOf(lines)}) w using (variant_id) where h.reference = ${reference}
      and ${returned ? sql`h.shipped - h.returned` : sql`h.committed`} >= w.quantity`,
  )
  const settled = await settle(work, changes, returned ? 'returned' : 'cancelled', isComplete(lines))
  if (settled.length === 0) throw new Error(`${reference} has not as many units ${from} as are to be restocked.`)
}

/** The lines summed by variant. */
const unitsOf = (lines: readonly Units[]) => sql`
  select variant_id, sum(quantity)::int as quantity
  from unnest(${lines.map((line) => line.variantId)}::text[], ${lines.map((line) => line.quantity)}::int[])
    as given (variant_id, quantity)
  group by variant_id`

const isComplete = (lines: readonly Units[]) =>
  sql`(select count(*) from changes) = ${new Set(lines.map((line) => line.variantId)).size}::int`

type Counter = 'held' | 'committed' | 'released' | 'shipped' | 'returned' | 'onHand'

/** Locks holds `h` and says by how much each of their counters, and what is on hand, is to change. */
const changesOf = (by: Partial<Record<Counter, RawBuilder<unknown>>>, which: RawBuilder<unknown>) => sql`
  select h.reference, h.variant_id, h.location, h.held, h.committed, h.released, h.shipped, h.returned,
    ${by.held ?? sql`0`} as held_change, ${by.committed ?? sql`0`} as committed_change,
    ${by.released ?? sql`0`} as released_change, ${by.shipped ?? sql`0`} as shipped_change,
    ${by.returned ?? sql`0`} as returned_change, ${by.onHand ?? sql`0`} as on_hand_change
  from catalog.holds h ${which}
  order by h.reference, h.variant_id, h.location for update of h`

type Reason = 'committed' | 'expired' | 'cancelled' | 'reheld' | 'shipped' | 'returned'

/**
 * Carries changes of holds over to the stock, with their movements: all of them or, unless every locked row is `fit`,
 * none. Answers the orders concerned. New values come from the locked rows and not from the updated ones: an update
 * checks constraints on the row as it was before the wait.
 */
async function settle(work: Work, changes: RawBuilder<unknown>, reason: Reason, fit = sql`true`): Promise<OrderId[]> {
  const { rows } = await sql<{ reference: OrderId }>`
    with changes as (${changes}),
    totals as (
      select variant_id, location, sum(held_change)::int as held_change, sum(committed_change)::int as committed_change,
        sum(on_hand_change)::int as on_hand_change
      from changes group by variant_id, location),
    locked as (
      select s.variant_id, s.location, s.on_hand, s.held, s.committed, s.tracked, s.back_order, s.shortage
      from catalog.stock s join totals using (variant_id, location)
      order by s.variant_id, s.location for update of s),
    wanted as (
      select l.variant_id, l.location, l.shortage, l.tracked, l.back_order, l.held + t.held_change as held,
        l.committed + t.committed_change as committed,
        l.on_hand + case when l.tracked then t.on_hand_change else 0 end as on_hand, bool_and(${fit}) over () as fit
      from locked l join totals t using (variant_id, location)),
    counted as (
      update catalog.stock s set held = w.held, committed = w.committed, on_hand = w.on_hand, tracked = w.tracked,
        back_order = w.back_order, shortage = least(w.shortage, greatest(0, w.held + w.committed - w.on_hand))
      from wanted w where s.variant_id = w.variant_id and s.location = w.location and w.fit),
    settled as (
      update catalog.holds h set held = c.held + c.held_change, committed = c.committed + c.committed_change,
        released = c.released + c.released_change, shipped = c.shipped + c.shipped_change,
        returned = c.returned + c.returned_change
      from changes c join wanted w using (variant_id, location)
      where h.reference = c.reference and h.variant_id = c.variant_id and h.location = c.location and w.fit
      returning h.reference),
    movements as (
      insert into catalog.movements (variant_id, location, held_change, committed_change, on_hand_change, reason, reference, actor_id, occurred_at)
      select c.variant_id, c.location, c.held_change, c.committed_change, case when l.tracked then c.on_hand_change else 0 end,
        ${reason}, c.reference, ${actorIdOf(work.actor)}::text, ${work.now}::timestamptz
      from changes c join locked l using (variant_id, location) join wanted w using (variant_id, location) where w.fit)
    select distinct reference from settled`.execute(work.tx)
  return rows.map((row) => row.reference)
}

async function whyNotShipped(work: Work, lines: readonly Units[]) {
  const { rows } = await sql<{ variant_id: VariantId; on_hand: number; committed: number; tracked: boolean }>`
    select variant_id, on_hand, committed, tracked from catalog.stock
    where variant_id = any(${lines.map((line) => line.variantId)}::text[]) and location = ${MAIN_LOCATION}`.execute(
    work.tx,
  )
  const byVariant = new Map(rows.map((row) => [row.variant_id, row]))
  return lines.flatMap(({ variantId, quantity }, index) => {
    const stock = byVariant.get(variantId)
    const ready = stock ? (stock.tracked ? Math.min(stock.on_hand, stock.committed) : stock.committed) : 0
    if (ready >= quantity) return []
    return [
      {
        pointer: `/lines/${index}`,
        detail: `only ${ready} of ${quantity} can be shipped`,
        variantId,
        wanted: quantity,
        available: ready,
      },
    ]
  })
}
