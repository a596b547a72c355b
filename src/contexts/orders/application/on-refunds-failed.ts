import type { OrderId, RefundId } from '#kernel/ids.ts'
import type { Reaction, Work } from '#platform/db/work.ts'
import { giveBack, type RefundPart } from '../domain/refund-lines.ts'
import type { ChangeOrder } from './ship-order.ts'

type Failed = { readonly orderId: OrderId; readonly refundId: RefundId }

export type OnRefundsFailedNeeds = {
  readonly changeOrder: ChangeOrder
  /** Marks what the refund counted as failed, once; none when it named no lines or was marked before. */
  readonly failRefundLines: (work: Work, id: RefundId) => Promise<RefundPart[]>
}

/** Units and money of a refund that the provider did not make can be refunded again. The goods stay where they are. */
export const onRefundsFailed =
  (needs: OnRefundsFailedNeeds): Reaction =>
  async (work, events) => {
    const failed = events.map(({ data }) => data as Failed)
    for (const { orderId, refundId } of failed.toSorted((a, b) => (a.orderId < b.orderId ? -1 : 1)))
      await needs.changeOrder(
        work,
        orderId,
        async (order) => ({ state: giveBack(order, await needs.failRefundLines(work, refundId)), events: [] }),
        { kind: 'refund-uncounted', facts: { refundId } },
      )
  }
