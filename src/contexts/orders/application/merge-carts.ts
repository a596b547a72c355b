import type { CartId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type Cart, MAX_CART_ITEMS, MAX_UNITS, type PricedCart } from '../domain/cart.ts'
import { refuse } from '../domain/problems.ts'
import { type ChangeCartNeeds, refuseClosed } from './change-cart.ts'
import { priced } from './goods.ts'
import { cartProof, ownsCart } from './proofs.ts'

export type MergeCartsNeeds = ChangeCartNeeds & {
  readonly lockCarts: (work: Work, ids: readonly CartId[]) => Promise<Cart[]>
  readonly closeMerged: (work: Work, id: CartId) => Promise<void>
}

/**
 * Moves the lines of another cart into this one; both must be the caller's. Nothing is lost for want of stock: the cart
 * names it as a problem. Refuses carts.not-found, what refuseClosed refuses, carts.cannot-merge, carts.too-many-items.
 */
export const mergeCarts =
  (needs: MergeCartsNeeds) =>
  async (work: Work, id: CartId, fromCartId: CartId): Promise<PricedCart> => {
    const carts = await needs.lockCarts(work, [id, fromCartId])
    const [into, from] = [id, fromCartId].map((one) => carts.find((cart) => cart.id === one))
    if (!into || !from || ![into, from].every((cart) => ownsCart(needs.guestTokens, work.actor, cart)))
      throw refuse('carts.not-found')
    for (const cart of [into, from]) refuseClosed(cart)
    if (into.id === from.id || into.currency !== from.currency) throw refuse('carts.cannot-merge')
    const merged = await moveItems(needs, work, into, from)
    await needs.closeMerged(work, from.id)
    return priced(needs, work, merged)
  }

async function moveItems(needs: MergeCartsNeeds, work: Work, into: Cart, from: Cart): Promise<Cart> {
  const proof = cartProof(needs.guestTokens, work.actor, into.id)
  let merged = into
  for (const { id: itemId, ...item } of from.items) {
    const changed = await needs.putItem(work.tx, into.id, proof, { itemId, ...item, limit: MAX_UNITS }, work.now)
    if (!changed) throw refuse('carts.too-many-items', `At most ${MAX_CART_ITEMS} variants and ${MAX_UNITS} of each.`)
    merged = changed
  }
  return merged
}
