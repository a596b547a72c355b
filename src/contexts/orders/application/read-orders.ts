import type { OrderId } from '#kernel/ids.ts'
import type { Actor, Reader } from '#platform/db/work.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import type { Order } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'
import { ownsOrder } from './proofs.ts'

export type ReadOrderNeeds = {
  readonly guestTokens: GuestTokens
  readonly findOrder: (db: Reader, id: OrderId) => Promise<Order | undefined>
}

/** An order for its buyer or for staff with orders:read. Refuses orders.not-found to everybody else. */
export const readOrder =
  (needs: ReadOrderNeeds) =>
  async (db: Reader, actor: Actor, id: OrderId): Promise<Order> => {
    const order = await needs.findOrder(db, id)
    if (!order || !mayRead(needs.guestTokens, actor, order)) throw refuse('orders.not-found')
    return order
  }

export const mayRead = (tokens: GuestTokens, actor: Actor, order: Order): boolean =>
  actor.permissions.has('orders:read') || ownsOrder(tokens, actor, order)
