import type { Order, OrderLine, PaymentStatus } from './order.ts'
import { grossOf } from './totals.ts'

/** What became of the money of an order, as its payment has it; amounts in minor units. */
export type PaymentState = {
  readonly status: 'open' | 'authorised' | 'captured' | 'cancelled' | 'review' | 'disputed' | 'lost'
  readonly capturedMinor: number
  readonly refundedMinor: number
}

/** The order with its payment as it is now. Money alone never changes the order's status. */
export function followPayment(order: Order, payment: PaymentState): Order {
  return { ...order, refundedMinor: payment.refundedMinor, paymentStatus: shownOf(payment) }
}

/** What went back of a line: what refunds counted on it, and all of it when all of the payment went back. */
export const refundedOfLine = ({ paymentStatus }: Order, line: OrderLine): number =>
  paymentStatus === 'refunded' ? grossOf(line) : line.refundedMinor

function shownOf({ status, capturedMinor, refundedMinor }: PaymentState): PaymentStatus {
  if (status === 'open' || status === 'cancelled') return 'unpaid'
  if (status === 'authorised' || status === 'review') return status
  if (status === 'disputed' || status === 'lost') return 'disputed'
  if (refundedMinor === 0) return 'paid'
  return refundedMinor < capturedMinor ? 'partiallyRefunded' : 'refunded'
}
