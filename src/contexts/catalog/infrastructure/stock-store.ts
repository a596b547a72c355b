import { sql } from 'kysely'
import type { VariantId } from '#kernel/ids.ts'
import { actorIdOf } from '#platform/db/system.ts'
import type { Work } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import type { Stock } from '../domain/stock.ts'

/** What a new variant begins with at a location. */
export type OpeningStock = Pick<Stock, 'variantId' | 'location' | 'onHand' | 'tracked' | 'backOrder'> & {
  readonly note: string | null
}

/** Why stock was changed outside of orders. */
export type StockChange = {
  readonly reason: 'adjustment' | 'import'
  readonly reference: string | null
  readonly note: string | null
}

/** Opens the stock of new variants, each with its first movement; a variant that has stock there is left alone. */
export async function openStock(
  work: Work,
  openings: readonly OpeningStock[],
  reference: string | null = null,
): Promise<void> {
  if (openings.length === 0) return
  await sql`
    with opened as (
      insert into catalog.stock (variant_id, location, on_hand, tracked, back_order)
      select variant_id, location, on_hand, tracked, back_order
      from unnest(${openings.map((one) => one.variantId)}::text[], ${openings.map((one) => one.location)}::text[],
        ${openings.map((one) => one.onHand)}::int[], ${openings.map((one) => one.tracked)}::boolean[],
        ${openings.map((one) => one.backOrder)}::boolean[]) as given (variant_id, location, on_hand, tracked, back_order)
      on conflict (variant_id, location) do nothing
      returning variant_id, location, on_hand)
    insert into catalog.movements (variant_id, location, on_hand_change, reason, reference, actor_id, note, occurred_at)
    select o.variant_id, o.location, o.on_hand, 'opening', ${reference}::text, ${actorIdOf(work.actor)}::text, given.note,
      ${work.now}::timestamptz
    from opened o join unnest(${openings.map((one) => one.variantId)}::text[], ${openings.map((one) => one.location)}::text[],
      ${openings.map((one) => one.note)}::text[]) as given (variant_id, location, note) using (variant_id, location)`.execute(
    work.tx,
  )
}

/** Locks the stock of variants at one location, in the order of their ids: after every other row, and before saving it. */
export async function lockStock(work: Work, variantIds: readonly VariantId[], location: string): Promise<Stock[]> {
  const { rows } = await sql<Stock>`
    select variant_id as "variantId", location, on_hand as "onHand", held, committed, tracked, back_order as "backOrder", shortage
    from catalog.stock where variant_id = any(${variantIds}::text[]) and location = ${location}
    order by variant_id for update`.execute(work.tx)
  return rows
}

/** Locks one variant's stock. Refuses catalog.location-not-found. */
export async function lockOneStock(work: Work, variantId: VariantId, location: string): Promise<Stock> {
  const [stock] = await lockStock(work, [variantId], location)
  if (!stock) throw refuse('catalog.location-not-found')
  return stock
}

/** Saves locked stock: what is on hand, its rule and its shortage, each with a movement that says why. */
export async function saveStock(work: Work, stock: readonly Stock[], why: StockChange): Promise<void> {
  await sql`
    with given as (
      select variant_id, location, on_hand, tracked, back_order, shortage
      from unnest(${stock.map((one) => one.variantId)}::text[], ${stock.map((one) => one.location)}::text[],
        ${stock.map((one) => one.onHand)}::int[], ${stock.map((one) => one.tracked)}::boolean[],
        ${stock.map((one) => one.backOrder)}::boolean[], ${stock.map((one) => one.shortage)}::int[])
        as g (variant_id, location, on_hand, tracked, back_order, shortage)),
    before as (
      select s.variant_id, s.location, s.on_hand from catalog.stock s join given using (variant_id, location)),
    saved as (
      update catalog.stock s set on_hand = g.on_hand, tracked = g.tracked, back_order = g.back_order, shortage = g.shortage
      from given g where s.variant_id = g.variant_id and s.location = g.location)
    insert into catalog.movements (variant_id, location, on_hand_change, shortage, reason, reference, actor_id, note, occurred_at)
    select g.variant_id, g.location, g.on_hand - b.on_hand, g.shortage, ${why.reason}, ${why.reference}::text,
      ${actorIdOf(work.actor)}::text, ${why.note}::text, ${work.now}::timestamptz
    from given g join before b using (variant_id, location)`.execute(work.tx)
}
