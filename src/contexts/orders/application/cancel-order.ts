import type { ReleaseStock } from '#contexts/catalog/index.ts'
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
}

/**
 * Ends an order of which nothing has shipped, for its buyer or staff: unpaid, its payment is closed and its cart opens
 * again; paid, it is refunded in full. The stock comes free. Refuses orders.not-found, orders.cannot-cancel,
 * orders.invalid-transition, orders.payment-in-progress.
 */
export const cancelOrder =
  (needs: CancelOrderNeeds) =>
  async (work: Work, id: OrderId, reason: string): Promise<Order> => {
    const { actor } = work
    let before: Order | undefined
    const after = await needs.changeOrder(
      work,
      id,
      async (order) => {
        refuseStrangers(needs.guestTokens, actor, order)
        before = order
        const decision = cancel(order)
        if (order.status === 'pending') await closePayment(needs, work, order)
        return decision
      },
      { kind: 'cancelled', facts: { by: actor.kind } },
    )
    if (before?.status === 'pending') await needs.reopenCarts(work, [id])
    else if (after.paymentId) await needs.refundInFull(work, after.paymentId, reason)
    await needs.releaseStock(work, [id], 'cancelled')
    if (actor.kind === 'staff')
      work.audit({
        action: 'orders.cancel',
        subject: id,
        before: { status: before?.status },
        after: { status: after.status },
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
