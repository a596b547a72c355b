import type { Sellables, VariantsBySku } from '#contexts/catalog/index.ts'
import type { CartItemId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Problems, Refusal, RefusalFacts } from '#kernel/refusal.ts'
import type { Reader, Single } from '#platform/db/work.ts'
import { type Cart, type Goods, type PricedCart, priceCart } from '../domain/cart.ts'
import { refuse } from '../domain/problems.ts'
import type { StoreSettings } from '../domain/store-settings.ts'

/** A change of a cart: one statement in autocommit, or in a transaction when its answer is kept under a key. */
export type Doing = Pick<Single, 'db' | 'now' | 'actor'> & {
  /** The transaction, when there is one: then nothing may wait for another connection. */
  readonly tx?: Reader
}

/** What a buyer asks for: a variant by its id, or by a SKU that one active variant carries. */
export type WantedGoods = {
  readonly variantId?: VariantId
  readonly sku?: string
  readonly quantity: number
  readonly metadata?: Readonly<Record<string, string>>
}

export type GoodsNeeds = {
  readonly settings: StoreSettings
  readonly sellables: Sellables
  readonly variantsBySku: VariantsBySku
  /** Says no with one of the catalogue's codes. */
  readonly refuseByCatalog: (code: keyof Problems & string, detail?: string, facts?: RefusalFacts) => Refusal
  readonly newItemId: () => CartItemId
}

/** The variant that is meant. Refuses carts.unknown-variant, catalog.sku-ambiguous. */
export async function variantOf(
  needs: GoodsNeeds,
  { tx }: Doing,
  wanted: WantedGoods,
  pointer: string,
): Promise<VariantId> {
  if (wanted.variantId) return wanted.variantId
  const [first, ...others] = await needs.variantsBySku(wanted.sku ?? '', tx)
  if (!first) throw unknownVariant(`${pointer}/sku`)
  if (others.length > 0)
    throw needs.refuseByCatalog('catalog.sku-ambiguous', undefined, { variantIds: [first, ...others] })
  return first
}

/** A line as it would be in a cart, and where the request asks for it. */
export type WantedLine = { readonly variantId: VariantId; readonly quantity: number; readonly pointer: string }

/**
 * Refuses what a cart does not take: carts.unknown-variant, catalog.not-for-sale, catalog.no-price, and more than is
 * available as catalog.out-of-stock, which names all short lines.
 */
export function refuseUnsellable(
  needs: GoodsNeeds,
  goodsById: ReadonlyMap<VariantId, Goods>,
  currency: Currency,
  lines: readonly WantedLine[],
): void {
  for (const { variantId, pointer } of lines) {
    const goods = goodsById.get(variantId)
    const at = (detail: string) => ({ errors: [{ pointer, detail, variantId }] })
    if (!goods) throw unknownVariant(pointer)
    if (!goods.onSale) throw needs.refuseByCatalog('catalog.not-for-sale', undefined, at('is not for sale'))
    if (goods.unitPriceMinor === null)
      throw needs.refuseByCatalog('catalog.no-price', undefined, at(`has no price in ${currency}`))
  }
  const short = lines.flatMap(({ variantId, quantity, pointer }) => {
    const available = goodsById.get(variantId)?.available ?? null
    if (available === null || quantity <= available) return []
    return [{ pointer, detail: `${available} available, ${quantity} wanted`, variantId, wanted: quantity, available }]
  })
  if (short.length > 0) throw needs.refuseByCatalog('catalog.out-of-stock', undefined, { errors: short })
}

/** The cart priced now. Reads of the catalogue are at most 2 s old, unless asked for `now`. */
export async function priced(
  needs: Pick<GoodsNeeds, 'sellables' | 'settings'>,
  { tx }: { readonly tx?: Reader },
  cart: Cart,
  freshness: 'cached' | 'now' = 'cached',
): Promise<PricedCart> {
  const ids = cart.items.map((item) => item.variantId)
  const goods = ids.length === 0 ? new Map() : await needs.sellables(ids, cart.currency, freshness, tx)
  return priceCart(cart, goods, needs.settings)
}

const unknownVariant = (pointer: string) =>
  refuse('carts.unknown-variant', undefined, { errors: [{ pointer, detail: 'No such variant.' }] })
