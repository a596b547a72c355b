import type { ReleaseStock } from '#contexts/catalog/index.ts'
import type { ClosePayments } from '#contexts/payments/index.ts'
import { minutesAfter } from '#kernel/clock.ts'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Work } from '#platform/db/work.ts'
import { event } from '../domain/order.ts'

export const EXPIRE_AT_ONCE = 100

export type Overdue = {
  readonly id: OrderId
  readonly number: string
  readonly paymentId: PaymentId | null
  readonly totalMinor: number
  readonly currency: Currency
}

export type ExpireOrdersNeeds = {
  readonly lockOverdue: (work: Work, limit: number) => Promise<Overdue[]>
  readonly closePayments: ClosePayments
  readonly extendHolds: (work: Work, holds: readonly { id: OrderId; until: Date }[]) => Promise<void>
  readonly markExpired: (work: Work, ids: readonly OrderId[]) => Promise<void>
  readonly reopenCarts: (work: Work, ids: readonly OrderId[]) => Promise<void>
  readonly releaseStock: ReleaseStock
  failpoint(name: string): Promise<void>
}

/** How long it takes at most until the event of a captured payment is heard, as a rule. */
const HEARD_WITHIN_MINUTES = 1

/**
 * Expires orders whose hold is over: payment closed, cart open again, stock free. One whose payment is being made is
 * held as long as that may take, and one that was captured meanwhile until its event is heard, so that neither stands in the
 * way of those behind it. Returns how many were looked at: when as many as at most, there may be more.
 */
export const expireOrders =
  (needs: ExpireOrdersNeeds) =>
  async (work: Work): Promise<number> => {
    const due = await needs.lockOverdue(work, EXPIRE_AT_ONCE)
    if (due.length === 0) return 0
    const payments = due.flatMap(({ paymentId }) => paymentId ?? [])
    const closed = await needs.closePayments(work, payments, 'expired')
    const outcomes = due.map((order) => ({
      ...order,
      closed: order.paymentId ? closed.get(order.paymentId) : undefined,
    }))
    const held = outcomes.flatMap(({ id, closed }) => {
      if (closed?.outcome === 'cancelled') return []
      return [{ id, until: closed?.outcome === 'busy' ? closed.until : minutesAfter(work.now, HEARD_WITHIN_MINUTES) }]
    })
    if (held.length > 0) await needs.extendHolds(work, held)
    const over = outcomes.filter((order) => order.closed?.outcome === 'cancelled')
    const ids = over.map((order) => order.id)
    if (ids.length === 0) return due.length
    await needs.failpoint('order.expired')
    await needs.markExpired(work, ids)
    await needs.reopenCarts(work, ids)
    await needs.releaseStock(work, ids, 'expired')
    work.emit(...over.map((order) => event('orders.expired.v1', order)))
    return due.length
  }
