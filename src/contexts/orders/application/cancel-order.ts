import type { ReleaseStock, WriteOffStock } from '#contexts/catalog/index.ts'
import type { ClosePayments, RefundInFull } from '#contexts/payments/index.ts'
import type { OrderId } from '#kernel/ids.ts'
import type { Actor, Work } from '#platform/db/work.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import { cancel, type Order } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'
import { ownsOrder } from './proofs.ts'
import { mayRead } from './read-orders.ts'
import type { ChangeOrder } from './ship-order.ts'

export type CancelOrderNeeds = {
  readonly guestTokens: GuestTokens
  readonly changeOrder: ChangeOrder
  readonly reopenCarts: (work: Work, ids: readonly OrderId[]) => Promise<void>
  readonly closePayments: ClosePayments
  readonly refundInFull: RefundInFull
  readonly releaseStock: ReleaseStock
  readonly writeOffStock: WriteOffStock
}
export type Cancellation = {
  readonly reason: string
  /** False, for staff only: the units are not fit for sale again, and leave the stock. */
  readonly restock: boolean
}

/**
 * Ends an order of which nothing has shipped, for its buyer or staff: unpaid, its payment is closed and its cart opens
 * again; paid, it is refunded in full. The stock comes free, or is written off. Refuses orders.not-found,
 * orders.cannot-cancel, orders.invalid-transition, orders.payment-in-progress, catalog.nothing-on-hand.
 */
export const cancelOrder =
  (needs: CancelOrderNeeds) =>
  async (work: Work, id: OrderId, { reason, restock }: Cancellation): Promise<Order> => {
    const { actor } = work
    let before: Order | undefined
    const after = await needs.changeOrder(
      work,
      id,
      async (order) => {
        refuseStrangers(needs.guestTokens, actor, order)
        if (!restock && !actor.permissions.has('orders:cancel'))
          throw refuse('orders.cannot-cancel', 'Only staff say that the goods are not for sale again.')
        before = order
        const decision = cancel(order)
        if (order.status === 'pending') await closePayment(needs, work, order)
        return decision
      },
      { kind: 'cancelled', facts: { by: actor.kind } },
    )
    if (before?.status === 'pending') await needs.reopenCarts(work, [id])
    else if (after.paymentId) await needs.refundInFull(work, after.paymentId, reason)
    if (restock) await needs.releaseStock(work, [id], 'cancelled')
    else await needs.writeOffStock(work, id)
    if (actor.kind === 'staff' || actor.kind === 'server')
      work.audit({
        action: 'orders.cancel',
        subject: id,
        before: { status: before?.status },
        after: { status: after.status, restock },
      })
    return after
  }

function refuseStrangers(tokens: GuestTokens, actor: Actor, order: Order): void {
  if (ownsOrder(tokens, actor, order) || actor.permissions.has('orders:cancel')) return
  throw mayRead(tokens, actor, order) ? refuse('orders.cannot-cancel') : refuse('orders.not-found')
}

/** A payment that is being made, or was made a moment ago, is not cut off: its outcome decides. */
async function closePayment(needs: CancelOrderNeeds, work: Work, { paymentId }: Order): Promise<void> {
  if (!paymentId) return
  const closed = (await needs.closePayments(work, [paymentId], 'cancelled')).get(paymentId)
  if (closed?.outcome !== 'cancelled')
    throw refuse('orders.payment-in-progress', undefined, { retryAfterSeconds: closed?.outcome === 'captured' ? 1 : 5 })
}
