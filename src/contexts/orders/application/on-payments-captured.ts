import type { CommitStock, ReholdStock } from '#contexts/catalog/index.ts'
import type { RefundInFull } from '#contexts/payments/index.ts'
import type { Decision } from '#kernel/event.ts'
import type { CartId, OrderId, PaymentId } from '#kernel/ids.ts'
import type { Reaction, Work } from '#platform/db/work.ts'
import { event, markPaid, type Order, turnDown, unfulfillable } from '../domain/order.ts'
import type { ChangeOrder } from './ship-order.ts'

type Captured = { readonly paymentId: PaymentId; readonly orderId: OrderId; readonly amountMinor: number }

export type OnPaymentsCapturedNeeds = {
  readonly markPendingPaid: (
    work: Work,
    ids: readonly OrderId[],
  ) => Promise<Pick<Order, 'id' | 'number' | 'totalMinor' | 'currency'>[]>
  readonly changeOrder: ChangeOrder
  readonly refreezeCart: (work: Work, id: CartId, orderId: OrderId) => Promise<boolean>
  readonly reopenCarts: (work: Work, ids: readonly OrderId[]) => Promise<void>
  readonly commitStock: CommitStock
  readonly reholdStock: ReholdStock
  readonly refundInFull: RefundInFull
}

/** Orders whose payment was captured are paid and their stock committed: two statements for a batch. The late ones follow. */
export const onPaymentsCaptured =
  (needs: OnPaymentsCapturedNeeds): Reaction =>
  async (work, events) => {
    const captured = new Map(events.map(({ data }) => [(data as Captured).orderId, data as Captured]))
    const paid = await needs.markPendingPaid(work, [...captured.keys()])
    const inTime = new Set(paid.map(({ id }) => id))
    const late = [...captured.values()].filter(({ orderId }) => !inTime.has(orderId))
    for (const money of late.toSorted((a, b) => (a.orderId < b.orderId ? -1 : 1))) await settleLate(needs, work, money)
    if (paid.length === 0) return
    await needs.commitStock(work, [...inTime])
    work.emit(
      ...paid.map((order) => event('orders.paid.v1', order, { amountMinor: captured.get(order.id)?.amountMinor })),
    )
  }

/**
 * Money for an order that was not pending: an expired one is paid when its cart is not ordered anew and its stock can be
 * held again, else cancelled and refunded; for a cancelled one the money goes back; a paid one has it already.
 */
async function settleLate(needs: OnPaymentsCapturedNeeds, work: Work, money: Captured) {
  const { orderId, paymentId } = money
  let refund = false
  const decide = async (order: Order): Promise<Decision<Order>> => {
    if (order.status !== 'expired' && order.status !== 'cancelled') return { state: order, events: [] }
    const why = order.status === 'cancelled' ? 'cancelled' : await takeAgain(needs, work, order)
    if (why === 'taken') return markPaid(order)
    refund = true
    const { state, events } = why === 'cancelled' ? { state: { ...order }, events: [] } : turnDown(order)
    return { state, events: [...events, unfulfillable(state, money, why)] }
  }
  await needs.changeOrder(work, orderId, decide, { kind: 'late-payment', facts: { paymentId } })
  if (refund) await needs.refundInFull(work, paymentId, 'The payment came after the order had ended.')
}

async function takeAgain(needs: OnPaymentsCapturedNeeds, work: Work, order: Order) {
  if (!(await needs.refreezeCart(work, order.cartId, order.id))) return 'ordered-anew'
  if (await needs.reholdStock(work, order.id)) return 'taken'
  await needs.reopenCarts(work, [order.id])
  return 'sold-out'
}
