import type { Address } from '#kernel/address.ts'
import type { CartId, CartItemId, VariantId } from '#kernel/ids.ts'
import type { Reader } from '#platform/db/work.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import { type Cart, MAX_CART_ITEMS, MAX_UNITS, type PricedCart, priceCart } from '../domain/cart.ts'
import { refuse } from '../domain/problems.ts'
import type { StoreSettings } from '../domain/store-settings.ts'
import { type Doing, type GoodsNeeds, priced, refuseUnsellable, variantOf, type WantedGoods } from './goods.ts'
import { type NamedAddresses, type NamedAddressesNeeds, withAddresses } from './named-addresses.ts'
import { cartProof, ownsCart } from './proofs.ts'

/** What a caller can show for a cart: that it is signed in as somebody, or that it holds the cart's token. */
export type CartProof = { readonly userId: Cart['userId']; readonly holdsToken: boolean }

/** What a cart can be changed to besides its items: left out stays, null clears. */
export type CartDetails = {
  readonly email?: string | null
  readonly shippingAddress?: Address | null
  readonly billingAddress?: Address | null
  readonly shippingMethod?: string | null
  readonly note?: string | null
  readonly metadata?: Readonly<Record<string, string>>
}

/** A new line, or more of the one that has the variant; `limit`: how many of it the cart may hold after it. */
export type ItemToPut = {
  readonly itemId: CartItemId
  readonly variantId: VariantId
  readonly quantity: number
  readonly metadata: Readonly<Record<string, string>>
  readonly limit: number
}

export type ChangeCartNeeds = GoodsNeeds &
  NamedAddressesNeeds & {
    readonly guestTokens: GuestTokens
    readonly findCart: (db: Reader, id: CartId) => Promise<Cart | undefined>
    readonly putItem: (
      db: Reader,
      id: CartId,
      proof: CartProof,
      item: ItemToPut,
      now: Date,
    ) => Promise<Cart | undefined>
    readonly setItem: (
      db: Reader,
      id: CartId,
      proof: CartProof,
      variantId: VariantId,
      quantity: number,
      now: Date,
    ) => Promise<Cart | undefined>
    readonly setDetails: (
      db: Reader,
      id: CartId,
      proof: CartProof,
      to: CartDetails,
      now: Date,
    ) => Promise<Cart | undefined>
  }

/** The caller's cart, priced now. Refuses carts.not-found, and orders.amount-too-large when prices have risen beyond it. */
export const readCart =
  (needs: ChangeCartNeeds) =>
  async (doing: Doing, id: CartId): Promise<PricedCart> =>
    priced(needs, doing, await ownCart(needs, doing, id))

/**
 * Adds units of a variant: a new line, or more of the one it has. Refuses carts.not-found, what refuseClosed refuses,
 * carts.too-many-items, orders.amount-too-large and what goods.ts refuses; more than is available counts what the cart has of
 * it already.
 */
export const addItem =
  (needs: ChangeCartNeeds) =>
  async (doing: Doing, id: CartId, wanted: WantedGoods): Promise<PricedCart> => {
    const proof = cartProof(needs.guestTokens, doing.actor, id)
    const itemId = needs.newItemId()
    return again(async () => {
      const cart = await openCart(needs, doing, id)
      const variantId = await variantOf(needs, doing, wanted, '')
      const limit = await limitOf(needs, doing, cart, variantId, wanted.quantity + unitsOf(cart, variantId))
      const item = { itemId, variantId, quantity: wanted.quantity, metadata: wanted.metadata ?? {}, limit }
      const changed = await needs.putItem(doing.db, id, proof, item, doing.now)
      return changed && priced(needs, doing, changed)
    })
  }

/** Sets how many units an item has; 0 takes it out. Refuses what addItem refuses, and carts.item-not-found. */
export const setQuantity =
  (needs: ChangeCartNeeds) =>
  async (doing: Doing, id: CartId, itemId: CartItemId, quantity: number): Promise<PricedCart> => {
    const proof = cartProof(needs.guestTokens, doing.actor, id)
    return again(async () => {
      const cart = await openCart(needs, doing, id)
      const item = cart.items.find((one) => one.id === itemId)
      if (!item) throw refuse('carts.item-not-found')
      if (quantity > item.quantity) await limitOf(needs, doing, cart, item.variantId, quantity)
      const changed = await needs.setItem(doing.db, id, proof, item.variantId, quantity, doing.now)
      return changed && priced(needs, doing, changed)
    })
  }

/** Changes who buys and where it goes. Refuses carts.not-found and what refuseClosed and checkDetails refuse. */
export const changeDetails =
  (needs: ChangeCartNeeds) =>
  async (doing: Doing, id: CartId, asked: CartDetails & NamedAddresses): Promise<PricedCart> => {
    const details = await withAddresses(needs, doing, asked)
    checkDetails(needs.settings, details)
    const proof = cartProof(needs.guestTokens, doing.actor, id)
    return again(async () => {
      const changed = await needs.setDetails(doing.db, id, proof, details, doing.now)
      if (!changed) await openCart(needs, doing, id)
      return changed && priced(needs, doing, changed)
    })
  }

/** Refuses a country that nothing is shipped to and a shipping method that the store does not have. */
export function checkDetails(settings: StoreSettings, { shippingAddress, shippingMethod }: CartDetails): void {
  const countryCode = shippingAddress?.countryCode
  if (countryCode && !settings.shippingCountries.includes(countryCode))
    throw refuse('carts.country-not-served', undefined, {
      errors: [{ pointer: '/shippingAddress/countryCode', detail: `Nothing is shipped to ${countryCode}.` }],
    })
  if (shippingMethod && !settings.shippingMethods.some((method) => method.id === shippingMethod))
    throw refuse('carts.unknown-shipping-method', undefined, {
      errors: [{ pointer: '/shippingMethod', detail: 'No such method.' }],
    })
}

/** The caller's cart, whatever its state. Refuses carts.not-found. */
async function ownCart(needs: ChangeCartNeeds, { db, actor }: Doing, id: CartId): Promise<Cart> {
  const cart = await needs.findCart(db, id)
  if (!cart || !ownsCart(needs.guestTokens, actor, cart)) throw refuse('carts.not-found')
  return cart
}

async function openCart(needs: ChangeCartNeeds, doing: Doing, id: CartId): Promise<Cart> {
  const cart = await ownCart(needs, doing, id)
  refuseClosed(cart)
  return cart
}

/** Refuses a cart that cannot change any more: carts.already-ordered, carts.already-merged. */
export function refuseClosed({ status }: Cart): void {
  if (status !== 'open') throw refuse(`carts.already-${status}`)
}

/**
 * How many units of a variant a cart may hold; refuses when that is fewer than `units`, and what could not be added up, before
 * anything is written.
 */
async function limitOf(needs: ChangeCartNeeds, { tx }: Doing, cart: Cart, variantId: VariantId, units: number) {
  const others = cart.items.filter((item) => item.variantId !== variantId)
  if (units > MAX_UNITS || others.length >= MAX_CART_ITEMS) throw refuse('carts.too-many-items')
  const items = [...others, { id: needs.newItemId(), variantId, quantity: units, metadata: {} }]
  const ids = items.map((item) => item.variantId)
  const goods = await needs.sellables(ids, cart.currency, 'cached', tx)
  refuseUnsellable(needs, goods, cart.currency, [{ variantId, quantity: units, pointer: '/quantity' }])
  priceCart({ ...cart, items }, goods, needs.settings)
  return goods.get(variantId)?.available ?? MAX_UNITS
}

const unitsOf = (cart: Cart, variantId: VariantId): number =>
  cart.items.find((item) => item.variantId === variantId)?.quantity ?? 0

/** A statement that changed nothing lost a race after its cart was read: read again, and be refused for the real reason. */
async function again(change: () => Promise<PricedCart | undefined>): Promise<PricedCart> {
  for (let run = 1; run <= 5; run += 1) {
    const changed = await change()
    if (changed) return changed
  }
  throw refuse('carts.already-ordered')
}
