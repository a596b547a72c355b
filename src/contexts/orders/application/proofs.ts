import type { CartId } from '#kernel/ids.ts'
import type { Actor } from '#platform/db/work.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import type { Cart } from '../domain/cart.ts'
import type { Order } from '../domain/order.ts'

/** A cart's token is its only one: signing in makes the cart its owner's, and the token worthless. */
export const CART_TOKEN_VERSION = 1

/** What this caller can show for a cart. */
export const cartProof = ({ isGuestToken }: GuestTokens, actor: Actor, id: CartId) => ({
  userId: actor.userId,
  holdsToken: isGuestToken(id, CART_TOKEN_VERSION, actor.cartToken),
})

/** Whether the cart is this caller's. */
export function ownsCart(tokens: GuestTokens, actor: Actor, cart: Cart): boolean {
  const { userId, holdsToken } = cartProof(tokens, actor, cart.id)
  return cart.userId === null ? holdsToken : cart.userId === userId
}

/** Whether this caller bought the order: signed in as its buyer, or with the token of a guest's order. */
export const ownsOrder = ({ isGuestToken }: GuestTokens, actor: Actor, order: Order): boolean =>
  order.userId === null ? isGuestToken(order.id, order.tokenVersion, actor.orderToken) : order.userId === actor.userId
