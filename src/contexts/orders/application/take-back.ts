import type { RestockStock } from '#contexts/catalog/index.ts'
import type { Id, OrderId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type LineUnits, type Order, takeBack } from '../domain/order.ts'
import { refundForUnits } from '../domain/totals.ts'
import { type ChangeOrder, stockOf } from './ship-order.ts'

export type ReturnId = Id<'rtn'>
export type ReturnedUnits = LineUnits & { readonly restock: boolean }
export type Taken = {
  readonly id: ReturnId
  readonly orderId: OrderId
  readonly items: readonly (ReturnedUnits & { readonly refundMinor: number })[]
  readonly reason: string
}

export type TakeBackNeeds = {
  readonly changeOrder: ChangeOrder
  readonly restockStock: RestockStock
  readonly newReturnId: () => ReturnId
  readonly insertReturn: (work: Work, taken: Taken) => Promise<void>
}

/**
 * Records units that came back, and puts those to be restocked on the shelf again. It moves no money: `refundMinor` says
 * what each line's units are worth, so that refunds of all of them sum to the line. Refuses orders.not-found,
 * orders.invalid-transition, orders.item-not-found, orders.too-many-units.
 */
export const takeBackItems =
  (needs: TakeBackNeeds) =>
  async (work: Work, orderId: OrderId, wanted: { lines: readonly ReturnedUnits[]; reason: string }) => {
    const id = needs.newReturnId()
    let items: Taken['items'] = []
    const order = await needs.changeOrder(
      work,
      orderId,
      (before) => {
        const decision = takeBack(before, wanted.lines)
        items = wanted.lines.map((units, index) => ({ ...units, refundMinor: worth(before, wanted.lines, index) }))
        return decision
      },
      { kind: 'returned', facts: { returnId: id } },
    )
    const taken: Taken = { id, orderId, items, reason: wanted.reason }
    await needs.insertReturn(work, taken)
    const restocked = wanted.lines.filter((line) => line.restock)
    if (restocked.length > 0) await needs.restockStock(work, orderId, stockOf(order, restocked), 'returned')
    return { order, taken }
  }

/** What the units of one entry are worth, after those that came back before it. */
function worth(before: Order, wanted: readonly LineUnits[], index: number): number {
  const { itemId, quantity } = wanted[index] as LineUnits
  const line = before.lines.find((each) => each.id === itemId)
  if (!line) return 0
  const earlier = wanted.slice(0, index).filter((each) => each.itemId === itemId)
  const already = earlier.reduce((sum, each) => sum + each.quantity, line.returned)
  return refundForUnits(line, already, quantity).amountMinor
}
