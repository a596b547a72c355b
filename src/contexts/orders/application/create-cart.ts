import type { Address } from '#kernel/address.ts'
import type { CartId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import { type Cart, type CartItem, FIRST_LOCALE, MAX_UNITS, type PricedCart, priceCart } from '../domain/cart.ts'
import { refuse } from '../domain/problems.ts'
import { checkDetails } from './change-cart.ts'
import { type Doing, type GoodsNeeds, refuseUnsellable, variantOf, type WantedGoods } from './goods.ts'
import { type NamedAddresses, type NamedAddressesNeeds, withAddresses } from './named-addresses.ts'

export type NewCart = {
  readonly currency?: Currency
  readonly items?: readonly WantedGoods[]
  readonly email?: string
  readonly shippingAddress?: Address
  readonly billingAddress?: Address
  readonly shippingMethod?: string
  readonly note?: string
  readonly metadata?: Readonly<Record<string, string>>
}

export type CreateCartNeeds = GoodsNeeds &
  NamedAddressesNeeds & {
    readonly newCartId: () => CartId
    readonly insertCart: (db: Reader, cart: Cart, now: Date) => Promise<void>
  }

/**
 * Makes a cart, empty or with all that is known already; a signed-in caller's is theirs. Refuses carts.unknown-currency,
 * what a cart does not take (goods.ts) and what change-cart.ts refuses of its details.
 */
export const createCart =
  (needs: CreateCartNeeds) =>
  async (doing: Doing, asked: NewCart & NamedAddresses): Promise<PricedCart> => {
    const wanted = await withAddresses(needs, doing, asked)
    const { db, now, actor, tx } = doing
    const { settings } = needs
    const currency = wanted.currency ?? (settings.currencies[0] as Currency)
    if (!settings.currencies.includes(currency)) throw refuse('carts.unknown-currency', undefined, at('/currency'))
    checkDetails(settings, wanted)
    const { items, pointers } = await gather(needs, doing, wanted.items ?? [])
    const ids = items.map((item) => item.variantId)
    const goods = ids.length === 0 ? new Map() : await needs.sellables(ids, currency, 'cached', tx)
    refuseUnsellable(
      needs,
      goods,
      currency,
      items.map((item, index) => ({ ...item, pointer: pointers[index] as string })),
    )
    const cart: Cart = {
      id: needs.newCartId(),
      status: 'open',
      userId: actor.userId,
      orderId: null,
      locale: actor.locale ?? FIRST_LOCALE,
      currency,
      items,
      email: wanted.email ?? null,
      shippingAddress: wanted.shippingAddress ?? null,
      billingAddress: wanted.billingAddress ?? null,
      shippingMethod: wanted.shippingMethod ?? null,
      note: wanted.note ?? null,
      metadata: wanted.metadata ?? {},
    }
    const pricedCart = priceCart(cart, goods, settings)
    await needs.insertCart(db, cart, now)
    return pricedCart
  }

/** The same variant twice is one line; its pointer is where it stood first. */
async function gather(needs: GoodsNeeds, doing: Doing, wanted: readonly WantedGoods[]) {
  const items: CartItem[] = []
  const pointers: string[] = []
  for (const [index, goods] of wanted.entries()) {
    const { quantity, metadata = {} } = goods
    const variantId = await variantOf(needs, doing, goods, `/items/${index}`)
    const at = items.findIndex((item) => item.variantId === variantId)
    const same = items[at]
    if (same) items[at] = { ...same, quantity: same.quantity + quantity, metadata: { ...same.metadata, ...metadata } }
    else {
      items.push({ id: needs.newItemId(), variantId, quantity, metadata })
      pointers.push(`/items/${index}`)
    }
  }
  if (items.some((item) => item.quantity > MAX_UNITS)) throw refuse('carts.too-many-items', undefined, at('/items'))
  return { items, pointers }
}

const at = (pointer: string) => ({ errors: [{ pointer, detail: 'is not accepted' }] })
