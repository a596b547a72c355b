import type { Order, PaymentStatus } from './order.ts'
import { grossOf } from './totals.ts'

/** What became of the money of an order, as its payment has it; amounts in minor units. */
export type PaymentState = {
  readonly status: 'open' | 'authorised' | 'captured' | 'cancelled' | 'review' | 'disputed' | 'lost'
  readonly capturedMinor: number
  readonly refundedMinor: number
}

/** The order with its payment as it is now; refunded in full, every line is. Money alone never changes the order's status. */
export function followPayment(order: Order, payment: PaymentState): Order {
  const { refundedMinor } = payment
  const paymentStatus = shownOf(payment)
  const lines =
    paymentStatus === 'refunded'
      ? order.lines.map((line) => ({ ...line, refundedMinor: grossOf(line) }))
      : refundedMinor === 0
        ? order.lines.map((line) => ({ ...line, refundedMinor: 0 }))
        : order.lines
  return { ...order, refundedMinor, paymentStatus, lines }
}

function shownOf({ status, capturedMinor, refundedMinor }: PaymentState): PaymentStatus {
  if (status === 'open' || status === 'cancelled') return 'unpaid'
  if (status === 'authorised' || status === 'review') return status
  if (status === 'disputed' || status === 'lost') return 'disputed'
  if (refundedMinor === 0) return 'paid'
  return refundedMinor < capturedMinor ? 'partiallyRefunded' : 'refunded'
}
