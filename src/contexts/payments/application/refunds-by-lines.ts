import type { CartItemId, OrderId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Work } from '#platform/db/work.ts'

/** What staff name instead of an amount: units of the lines of an order, and its shipping. */
export type WantedLines = {
  readonly lines?: readonly { readonly itemId: CartItemId; readonly quantity: number; readonly restock?: boolean }[]
  /** True: all that is left of it. */
  readonly shipping?: true | { readonly amount: Money }
}

/** A refund as its order counts it; `shippingMinor` 'rest': what is left of it. */
export type RefundToCount = {
  readonly orderId: OrderId
  readonly refundId: RefundId
  readonly lines: NonNullable<WantedLines['lines']>
  readonly shippingMinor: number | 'rest'
  readonly reason: string
}

/** The order's side of a refund, in the transaction that promises it. Payments know no lines: orders have this. */
export type RefundsByLines = {
  /** Locks the order: before its payment. */
  readonly lockOrder: (work: Work, id: OrderId) => Promise<unknown>
  /**
   * Counts what goes back on the locked order, puts on sale again what is to be, and tells what it is worth. Refuses
   * orders.not-found, orders.item-not-found, orders.too-many-units, orders.refund-exceeds-shipping,
   * orders.nothing-to-refund, orders.invalid-transition.
   */
  readonly countRefund: (work: Work, refund: RefundToCount) => Promise<{ readonly amountMinor: number }>
}
