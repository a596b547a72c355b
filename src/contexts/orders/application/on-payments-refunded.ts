import type { OrderId, RefundId } from '#kernel/ids.ts'
import type { Reaction } from '#platform/db/work.ts'
import { event, recordRefund } from '../domain/order.ts'
import type { ChangeOrder } from './ship-order.ts'

type Refunded = {
  readonly orderId: OrderId
  readonly refundId: RefundId
  readonly amountMinor: number
  readonly refundedTotalMinor: number
}

/** Money that went back is counted on its order; sums only grow, so that events may come in any order. */
export const onPaymentsRefunded =
  (needs: { readonly changeOrder: ChangeOrder }): Reaction =>
  async (work, events) => {
    const refunds = events.map(({ data }) => data as Refunded)
    for (const refund of refunds.toSorted((a, b) => (a.orderId < b.orderId ? -1 : 1))) {
      const { orderId, refundId, amountMinor, refundedTotalMinor } = refund
      await needs.changeOrder(
        work,
        orderId,
        (order) => {
          const state = recordRefund(order, refundedTotalMinor)
          return { state, events: [event('orders.refunded.v1', state, { refundId, amountMinor })] }
        },
        { kind: 'refunded', facts: { refundId, amountMinor } },
      )
    }
  }
