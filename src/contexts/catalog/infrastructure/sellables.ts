import { sql } from 'kysely'
import type { ProductId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import { MAIN_LOCATION } from '../domain/stock.ts'
import { batched, makeCache } from './caches.ts'

const CACHED_MS = 2_000
const MOST_CACHED = 20_000

/** A variant as carts and orders see it, in one currency. */
export type Sellable = {
  readonly variantId: VariantId
  readonly productId: ProductId
  readonly handle: string
  readonly sku: string | null
  readonly title: string
  /** `M / Red`; null when the product has no options. */
  readonly variantTitle: string | null
  readonly options: Readonly<Record<string, string>>
  readonly image: string | null
  /** Null: no price in this currency. */
  readonly unitPriceMinor: number | null
  readonly taxable: boolean
  readonly requiresShipping: boolean
  readonly weightGrams: number | null
  readonly tracked: boolean
  /** Null: without limit. */
  readonly available: number | null
  /** Product and variant are active. */
  readonly onSale: boolean
}

/**
 * What these variants are and cost; unknown ids are left out. `cached` (the default) may be 2 s old, `now` is read now.
 * Within a transaction, pass it: waiting there for another connection would starve the pool under load.
 */
export type Sellables = (
  ids: readonly VariantId[],
  currency: Currency,
  freshness?: 'cached' | 'now',
  tx?: Reader,
) => Promise<Map<VariantId, Sellable>>

/** Makes the cached reader: ids asked for at the same time are loaded together, each once. */
export function makeSellables(db: Reader): { readonly sellables: Sellables; readonly forget: () => void } {
  const cache = makeCache<{ readonly sellable: Sellable | null }>({ ttlMs: CACHED_MS, maxSize: MOST_CACHED })
  const loaders = new Map<Currency, ReturnType<typeof loaderOf>>()
  const loaderOf = (currency: Currency) =>
    batched<Sellable>((ids) => readSellables(db, ids as readonly VariantId[], currency))
  const load = (currency: Currency, id: VariantId) => {
    const loader = loaders.get(currency) ?? loaderOf(currency)
    loaders.set(currency, loader)
    return loader(id).then((sellable) => ({ sellable }))
  }
  return {
    sellables: async (ids, currency, freshness = 'cached', tx) => {
      const kept = freshness === 'cached' && tx ? ids.map((id) => cache.peek(`${currency} ${id}`)) : []
      if (kept.length > 0 && kept.every((one) => one !== undefined)) return byId(kept)
      if (freshness === 'now' || tx) {
        const read = await readSellables(tx ?? db, ids, currency)
        for (const id of ids) cache.keep(`${currency} ${id}`, { sellable: read.get(id) ?? null })
        return read
      }
      const found = await Promise.all(ids.map((id) => cache.get(`${currency} ${id}`, () => load(currency, id))))
      return byId(found)
    },
    forget: cache.forget,
  }
}

const byId = (found: readonly { readonly sellable: Sellable | null }[]) =>
  new Map(found.flatMap(({ sellable }) => (sellable ? [[sellable.variantId, sellable] as const] : [])))

/** Reads variants as they are now, in one statement; unknown ids are left out. */
export async function readSellables(
  reader: Reader,
  ids: readonly VariantId[],
  currency: Currency,
): Promise<Map<VariantId, Sellable>> {
  const { rows } = await sql<Sellable>`
    select v.id as "variantId", p.id as "productId", p.handle, v.sku, p.title, v.title as "variantTitle", v.options,
      coalesce(vi.url, (select i.url from catalog.images i where i.product_id = p.id order by i.position limit 1)) as image,
      c.amount_minor as "unitPriceMinor", v.taxable, v.requires_shipping as "requiresShipping",
      v.weight_grams as "weightGrams", s.tracked,
      case when s.tracked and not s.back_order then greatest(0, s.on_hand - s.held - s.committed) end as available,
      v.status = 'active' and p.status = 'active' as "onSale"
    from catalog.variants v
    join catalog.products p on p.id = v.product_id
    join catalog.stock s on s.variant_id = v.id and s.location = ${MAIN_LOCATION}
    left join catalog.prices c on c.variant_id = v.id and c.currency = ${currency}
    left join catalog.images vi on vi.id = v.image_id
    where v.id = any(${ids}::text[])`.execute(reader)
  return new Map(rows.map((row) => [row.variantId, row]))
}

/** The variants on sale that carry this SKU, in the order of their ids. */
export async function readVariantsBySku(reader: Reader, sku: string): Promise<VariantId[]> {
  const { rows } = await sql<{ id: VariantId }>`
    select v.id from catalog.variants v join catalog.products p on p.id = v.product_id
    where v.sku = ${sku} and v.status = 'active' and p.status = 'active' order by v.id`.execute(reader)
  return rows.map((row) => row.id)
}
