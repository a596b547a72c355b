import type { RestockStock } from '#contexts/catalog/index.ts'
import type { RefundToCount } from '#contexts/payments/index.ts'
import type { OrderId, RefundId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Order } from '../domain/order.ts'
import { type CountedRefund, type RefundPart, refundLines } from '../domain/refund-lines.ts'
import { type ChangeOrder, stockOf } from './ship-order.ts'
import { type TakeBackNeeds, takeBackItems } from './take-back.ts'

export type CountRefundNeeds = TakeBackNeeds & {
  readonly changeOrder: ChangeOrder
  readonly restockStock: RestockStock
  readonly insertRefundLines: (
    work: Work,
    refund: { readonly refundId: RefundId; readonly orderId: OrderId; readonly parts: readonly RefundPart[] },
  ) => Promise<void>
}

/**
 * Counts a refund on its order from the moment that it is promised, and puts units on sale again that are to be: those that
 * have not shipped come off the order, the others are recorded as returned. Tells what it is worth in minor units. Refuses
 * orders.not-found and what refundLines refuses.
 */
export const countRefund =
  (needs: CountRefundNeeds) =>
  async (work: Work, { orderId, refundId, reason, ...wanted }: RefundToCount): Promise<{ amountMinor: number }> => {
    let before: Order | undefined
    let counted: CountedRefund | undefined
    const order = await needs.changeOrder(
      work,
      orderId,
      (found) => {
        before = found
        counted = refundLines(found, wanted)
        return counted
      },
      { kind: 'refund-promised', facts: { refundId } },
    )
    if (!before || !counted) throw new Error(`The refund ${refundId} was not counted.`)
    const { amountMinor, parts, unsent, cameBack } = counted
    await needs.insertRefundLines(work, { refundId, orderId, parts })
    if (unsent.length > 0) await needs.restockStock(work, orderId, stockOf(order, unsent), 'committed')
    const after =
      cameBack.length === 0
        ? order
        : (await takeBackItems(needs)(work, orderId, { lines: cameBack.map(toRestock), reason })).order
    work.audit({
      action: 'orders.refund-lines',
      subject: orderId,
      before: countersOf(before),
      after: { refundId, ...countersOf(after) },
    })
    return { amountMinor }
  }

const toRestock = <Units extends object>(units: Units) => ({ ...units, restock: true })

const countersOf = ({ lines, shippingRefundedMinor }: Order) => ({
  shippingRefundedMinor,
  lines: lines.map(({ id: itemId, refundedUnits, refundedMinor, cancelled, returned }) => {
    return { itemId, refundedUnits, refundedMinor, cancelled, returned }
  }),
})
