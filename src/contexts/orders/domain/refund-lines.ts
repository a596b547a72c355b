import type { Decision } from '#kernel/event.ts'
import type { CartItemId } from '#kernel/ids.ts'
import { countUnits, event, type LineUnits, type Order, type OrderLine, unshipped } from './order.ts'
import { refuse } from './problems.ts'
import { grossOf, refundForUnits } from './totals.ts'

/** What a refund takes of one line, or of the shipping (`itemId` null, no units). */
export type RefundPart = {
  readonly itemId: CartItemId | null
  readonly quantity: number
  readonly amountMinor: number
}
export type UnitsToRefund = LineUnits & { readonly restock?: boolean }

export type CountedRefund = Decision<Order> & {
  readonly amountMinor: number
  readonly parts: readonly RefundPart[]
  /** To be put on sale again: units that will not ship, and shipped ones that are back. */
  readonly unsent: readonly LineUnits[]
  readonly cameBack: readonly LineUnits[]
}

/** What was paid for sending, its tax included either way. */
export const shippingPaidMinor = ({ totalMinor, lines }: Order): number =>
  lines.reduce((left, line) => left - grossOf(line), totalMinor)

/**
 * Counts units of lines, and shipping, as refunded. With `restock`, units that have not shipped are taken off the order,
 * and the others of them came back; what remains can be shipped, and with nothing left to ship the order is shipped.
 * Refuses orders.item-not-found, .too-many-units, .refund-exceeds-shipping, .nothing-to-refund and .invalid-transition.
 */
export function refundLines(
  order: Order,
  wanted: { readonly lines: readonly UnitsToRefund[]; readonly shippingMinor: number | 'rest' },
): CountedRefund {
  if (wanted.lines.some(({ restock }) => restock)) refuseRestock(order)
  const counted = countUnits(order, wanted.lines, countOne)
  const grown = (of: 'cancelled' | 'returned'): LineUnits[] =>
    counted
      .map((line, index) => ({ itemId: line.id, quantity: line[of] - (order.lines[index]?.[of] ?? 0) }))
      .filter(({ quantity }) => quantity > 0)
  const unsent = grown('cancelled')
  if (unsent.length > 0 && counted.every((line) => line.cancelled === line.quantity))
    throw refuse('orders.invalid-transition', 'Nothing would be left of the order: cancel it instead.', {
      orderStatus: order.status,
    })
  const shippingMinor = shippingToRefund(order, wanted.shippingMinor)
  const parts = [...partsOf(order, counted), ...(shippingMinor > 0 ? [ofShipping(shippingMinor)] : [])]
  const amountMinor = parts.reduce((sum, part) => sum + part.amountMinor, 0)
  if (amountMinor === 0) throw refuse('orders.nothing-to-refund')
  // What came back is recorded as a return, which counts it.
  const lines = counted.map((line, index) => ({ ...line, returned: order.lines[index]?.returned ?? 0 }))
  const state = { ...order, lines, shippingRefundedMinor: order.shippingRefundedMinor + shippingMinor }
  return { ...shippedIfDone(state, unsent), amountMinor, parts, unsent, cameBack: grown('returned') }
}

function refuseRestock({ status }: Order): void {
  if (status === 'paid' || status === 'shipped' || status === 'delivered') return
  throw refuse('orders.invalid-transition', `The goods of a ${status} order are not put on sale again by a refund.`, {
    orderStatus: status,
  })
}

function countOne(line: OrderLine, { quantity, restock }: UnitsToRefund): OrderLine | number {
  const left = line.quantity - line.refundedUnits
  if (quantity > left) return left
  const refundedUnits = line.refundedUnits + quantity
  // After a refund that failed, what is counted may be a unit of money beside the share; the last one makes it whole.
  const share = refundForUnits(line, 0, refundedUnits).amountMinor
  const counted = { ...line, refundedUnits, refundedMinor: Math.max(line.refundedMinor, share) }
  if (!restock) return counted
  const [here, out] = [line.quantity - line.cancelled - line.shipped, line.shipped - line.returned]
  if (quantity > here + out) return here + out
  const taken = Math.min(quantity, here)
  return { ...counted, cancelled: line.cancelled + taken, returned: line.returned + quantity - taken }
}

function shippingToRefund(order: Order, wanted: number | 'rest'): number {
  const left = shippingPaidMinor(order) - order.shippingRefundedMinor
  if (wanted === 'rest') return left
  if (wanted <= left) return wanted
  throw refuse('orders.refund-exceeds-shipping', undefined, { left: { amountMinor: left, currency: order.currency } })
}

const ofShipping = (amountMinor: number): RefundPart => ({ itemId: null, quantity: 0, amountMinor })

const partsOf = (order: Order, counted: readonly OrderLine[]): RefundPart[] =>
  counted
    .map((line, index) => {
      const { refundedUnits = 0, refundedMinor = 0 } = order.lines[index] ?? {}
      const [quantity, amountMinor] = [line.refundedUnits - refundedUnits, line.refundedMinor - refundedMinor]
      return { itemId: line.id, quantity, amountMinor }
    })
    .filter(({ quantity }) => quantity > 0)

function shippedIfDone(order: Order, unsent: readonly LineUnits[]): Decision<Order> {
  if (order.status !== 'paid' || unsent.length === 0 || unshipped(order).length > 0) return { state: order, events: [] }
  const state: Order = { ...order, status: 'shipped', fulfilment: 'shipped' }
  return { state, events: [event('orders.shipped.v1', state, { items: [], complete: true })] }
}

/** A refund failed: its units and its money count as not refunded again. The goods stay where they are. */
export function giveBack(order: Order, parts: readonly RefundPart[]): Order {
  if (parts.length === 0) return order
  const of = (itemId: CartItemId | null) => parts.find((part) => part.itemId === itemId)
  return {
    ...order,
    shippingRefundedMinor: order.shippingRefundedMinor - (of(null)?.amountMinor ?? 0),
    lines: order.lines.map((line) => {
      const { quantity = 0, amountMinor = 0 } = of(line.id) ?? {}
      return {
        ...line,
        refundedUnits: line.refundedUnits - quantity,
        refundedMinor: line.refundedMinor - amountMinor,
      }
    }),
  }
}
