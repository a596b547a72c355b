import type { PaymentViews } from '#contexts/payments/index.ts'
import type { Reader } from '#platform/db/work.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import type { Order } from '../domain/order.ts'
import { orderView, type PaymentView } from './order-views.ts'
import type { OrderView } from './schemas.ts'

export type ShowOrder = ReturnType<typeof makeShowOrder>

/** Shows an order with its token and its payment. */
export function makeShowOrder({ guestToken }: GuestTokens, paymentViews: PaymentViews) {
  const view = (order: Order, payment: PaymentView | null): OrderView =>
    orderView(order, payment, guestToken(order.id, order.tokenVersion))
  return {
    view,
    withPayment: async (db: Reader, order: Order) => {
      const payment = order.paymentId ? (await paymentViews(db, [order.paymentId])).get(order.paymentId) : undefined
      const { id, status, amount } = payment ?? {}
      return {
        view: view(order, id && status && amount ? { id, status, amount } : null),
        attemptIsLive: payment?.isBusy ?? false,
      }
    },
  }
}
