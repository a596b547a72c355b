import type { PaymentViews } from '#contexts/payments/index.ts'
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

export type OnPaymentsChangedNeeds = { readonly changeOrder: ChangeOrder; readonly paymentViews: PaymentViews }

/**
 * What becomes of a payment shows on its order: authorised, refunded, disputed, in review. The payment is read again under
 * the order's lock, so that events may come late, twice and in any order.
 */
export const onPaymentsChanged =
  (needs: OnPaymentsChangedNeeds, kind: string): Reaction =>
  async (work, events) => {
    const changes = events.map(({ data }) => data as Changed)
    for (const { orderId, paymentId, refundId, amountMinor } of changes.toSorted(byOrder)) {
      const facts = { ...(refundId ? { refundId } : {}), ...(amountMinor === undefined ? {} : { amountMinor }) }
      await needs.changeOrder(
        work,
        orderId,
        async (order) => {
          const payment = (await needs.paymentViews(work.tx, [paymentId])).get(paymentId)
          if (!payment) return { state: order, events: [] }
          const state = followPayment(order, payment)
          return { state, events: kind === 'refunded' ? [event('orders.refunded.v1', state, facts)] : [] }
        },
        { kind, facts },
      )
    }
  }

const byOrder = (a: Changed, b: Changed): number => (a.orderId < b.orderId ? -1 : 1)
