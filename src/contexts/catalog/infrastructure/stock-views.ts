import { sql } from 'kysely'
import type { VariantId } from '#kernel/ids.ts'
import type { Keyset } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { InventoryView } from './schemas.ts'

export type InventorySearch = {
  readonly variantId: VariantId | undefined
  readonly sku: string | undefined
  readonly location: string | undefined
  readonly limit: number
  readonly after: Keyset | undefined
}

/** The stock of variants at each location, in the order of their ids: one more than `limit`. */
export async function readInventory(reader: Reader, search: InventorySearch): Promise<InventoryView[]> {
  const [afterVariant, afterLocation] = search.after ?? ['', '']
  const { rows } = await sql<InventoryView>`
    select s.variant_id as "variantId", v.product_id as "productId", v.sku, s.location, s.tracked, s.back_order as "backOrder",
      s.on_hand as "onHand", s.held, s.committed, s.shortage,
      case when s.tracked then greatest(0, s.on_hand - s.held - s.committed) end as available
    from catalog.stock s join catalog.variants v on v.id = s.variant_id
    where (${search.variantId ?? null}::text is null or s.variant_id = ${search.variantId ?? null})
      and (${search.sku ?? null}::text is null or v.sku = ${search.sku ?? null})
      and (${search.location ?? null}::text is null or s.location = ${search.location ?? null})
      and (s.variant_id, s.location) > (${afterVariant}::text, ${afterLocation}::text)
    order by s.variant_id, s.location limit ${search.limit + 1}`.execute(reader)
  return rows
}

/** Every place where stock is. */
export async function readLocations(reader: Reader): Promise<{ id: string; name: string }[]> {
  const { rows } = await sql<{ id: string; name: string }>`select id, name from catalog.locations order by id`.execute(
    reader,
  )
  return rows
}
