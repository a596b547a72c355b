import type { PaymentViews } from '#contexts/payments/index.ts'
import type { Actor, Reader } from '#platform/db/work.ts'
import { asOwn } from '#platform/http/fields.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import { ownsOrder } from '../application/proofs.ts'
import type { Order } from '../domain/order.ts'
import { orderView, type PaymentView } from './order-views.ts'
import type { OrderView } from './schemas.ts'

export type ShowOrder = ReturnType<typeof makeShowOrder>

/** Shows an order with its token and its payment: to whoever bought it as their own. */
export function makeShowOrder(guestTokens: GuestTokens, paymentViews: PaymentViews) {
  const view = (order: Order, payment: PaymentView | null): OrderView =>
    orderView(order, payment, guestTokens.guestToken(order.id, order.tokenVersion))
  return {
    view,
    withPayment: async (db: Reader, order: Order, actor: Actor) => {
      const payment = order.paymentId ? (await paymentViews(db, [order.paymentId])).get(order.paymentId) : undefined
      const { id, status, amount } = payment ?? {}
      const shown = view(order, id && status && amount ? { id, status, amount } : null)
      return {
        view: ownsOrder(guestTokens, actor, order) ? asOwn(shown) : shown,
        attemptIsLive: payment?.isBusy ?? false,
      }
    },
  }
}
