import type { PaymentViews, RefundInFull } from '#contexts/payments/index.ts'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import type { Reaction } from '#platform/db/work.ts'
import { followPayment } from '../domain/follow-payment.ts'
import { event } from '../domain/order.ts'
import type { ChangeOrder } from './ship-order.ts'

type Changed = {
  readonly paymentId: PaymentId
  readonly orderId: OrderId
  readonly refundId?: string
  readonly amountMinor?: number
}

export type OnPaymentsChangedNeeds = {
  readonly changeOrder: ChangeOrder
  readonly paymentViews: PaymentViews
  readonly refundInFull: RefundInFull
}

/** What happened to a payment, as the timeline of its order tells it. */
export type PaymentChange =
  | 'refunded'
  | 'refund-failed'
  | 'authorised'
  | 'authorisation-lapsed'
  | 'disputed'
  | 'dispute-won'
  | 'dispute-lost'
  | 'in-review'
  | 'review-ended'

/**
 * What becomes of a payment shows on its order: authorised, refunded, disputed, in review. The payment is read again under
 * the order's lock, so that events may come late, twice and in any order. An order that waits for money which was let go ends
 * with its hold now; one that was cancelled during a dispute gives its money back when that is won.
 */
export const onPaymentsChanged =
  (needs: OnPaymentsChangedNeeds, kind: PaymentChange): Reaction =>
  async (work, events) => {
    const changes = events.map(({ data }) => data as Changed)
    for (const { orderId, paymentId, refundId, amountMinor } of changes.toSorted(byOrder)) {
      const facts = { ...(refundId ? { refundId } : {}), ...(amountMinor === undefined ? {} : { amountMinor }) }
      const order = await needs.changeOrder(
        work,
        orderId,
        async (order) => {
          const payment = (await needs.paymentViews(work.tx, [paymentId])).get(paymentId)
          if (!payment) return { state: order, events: [] }
          const followed = followPayment(order, payment)
          const over = kind === 'authorisation-lapsed' && order.status === 'pending'
          const state = over ? { ...followed, holdUntil: work.now } : followed
          return { state, events: kind === 'refunded' ? [event('orders.refunded.v1', state, facts)] : [] }
        },
        { kind, facts },
      )
      if (kind === 'dispute-won' && order.status === 'cancelled')
        await needs.refundInFull(work, paymentId, 'Cancelled during a dispute')
    }
  }

const byOrder = (a: Changed, b: Changed): number => (a.orderId < b.orderId ? -1 : 1)
