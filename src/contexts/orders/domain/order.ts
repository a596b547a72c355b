import type { Address } from '#kernel/address.ts'
import type { Decision, DomainEvent } from '#kernel/event.ts'
import type { CartId, CartItemId, OrderId, PaymentId, ProductId, ShipmentId, UserId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { PricedCart } from './cart.ts'
import { refuse } from './problems.ts'
import type { LineAmounts } from './totals.ts'

/** Where an order can go from where it is: every transition there is. */
export const TRANSITIONS = {
  pending: ['paid', 'expired', 'cancelled'],
  paid: ['shipped', 'delivered', 'cancelled'],
  shipped: ['delivered', 'returned'],
  delivered: ['returned'],
  expired: ['paid', 'cancelled'],
  cancelled: [],
  returned: [],
} as const satisfies Record<string, readonly string[]>

export type OrderStatus = keyof typeof TRANSITIONS
export type PaymentStatus = 'unpaid' | 'authorised' | 'paid' | 'partiallyRefunded' | 'refunded' | 'disputed' | 'review'
export type Fulfilment = 'none' | 'partial' | 'shipped' | 'delivered'
export type ReturnStatus = 'none' | 'requested' | 'partial' | 'returned'

/** A line as it was bought, and what became of its units: cancelled + shipped ≤ quantity, returned ≤ shipped. */
export type OrderLine = LineAmounts & {
  readonly id: CartItemId
  readonly variantId: VariantId
  readonly productId: ProductId
  readonly sku: string | null
  readonly title: string
  readonly variantTitle: string | null
  readonly options: Readonly<Record<string, string>>
  readonly image: string | null
  readonly requiresShipping: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly unitPriceMinor: number
  readonly quantity: number
  readonly cancelled: number
  readonly shipped: number
  readonly returned: number
  /** Counted by refunds that name lines, from when they are promised. */
  readonly refundedUnits: number
  readonly refundedMinor: number
}

export type Order = {
  readonly id: OrderId
  readonly number: string
  readonly cartId: CartId
  readonly userId: UserId | null
  readonly tokenVersion: number
  readonly status: OrderStatus
  readonly paymentStatus: PaymentStatus
  readonly fulfilment: Fulfilment
  readonly returnStatus: ReturnStatus
  /** Null when there was nothing to pay. */
  readonly paymentId: PaymentId | null
  /** In which its buyer is written to, such as `de-AT`. */
  readonly locale: string
  readonly currency: Currency
  readonly subtotalMinor: number
  readonly discountMinor: number
  readonly shippingMinor: number
  readonly shippingTaxMinor: number
  readonly taxMinor: number
  readonly taxIncluded: boolean
  readonly totalMinor: number
  /** What its payment has given back; of it, what refunds by lines took of the shipping is counted when promised. */
  readonly refundedMinor: number
  readonly shippingRefundedMinor: number
  readonly lines: readonly OrderLine[]
  readonly email: string
  readonly shippingAddress: Address | null
  readonly billingAddress: Address | null
  readonly shippingMethod: { readonly id: string; readonly title: string } | null
  readonly note: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** Until when the stock is held for payment; null once that is decided. */
  readonly holdUntil: Date | null
  readonly placedAt: Date
}

/** What stands where the e-mail of an erased person stood; RFC 2606 keeps the domain free for ever. */
export const ERASED_EMAIL = 'erased@erased.invalid'

/** Units of one line. */
export type LineUnits = { readonly itemId: CartItemId; readonly quantity: number }

/** Moves along the table above; refuses orders.invalid-transition. */
function to(order: Order, status: OrderStatus): OrderStatus {
  if (canBecome(order.status, status)) return status
  throw refuse('orders.invalid-transition', `A ${order.status} order cannot become ${status}.`, {
    orderStatus: order.status,
  })
}

/** Whether the table above has this transition. */
export const canBecome = (from: OrderStatus, status: OrderStatus): boolean =>
  (TRANSITIONS[from] as readonly OrderStatus[]).includes(status)

export type Draft = {
  readonly id: OrderId
  readonly number: string
  readonly buyerId: UserId | null
  readonly paymentId: PaymentId | null
  readonly locale: string
  readonly holdUntil: Date
}

/**
 * Makes the order of a cart at the prices it was just given: pending, or paid at once when there is nothing to pay.
 * Refuses orders.empty, and orders.not-ready with all that is missing. Stock is not judged here: holding it is the judge.
 */
export function place(priced: PricedCart, draft: Draft, now: Date): Decision<Order> {
  const { cart, totals } = priced
  refuseUnready(priced)
  const free = totals.totalMinor === 0
  const order: Order = {
    id: draft.id,
    number: draft.number,
    cartId: cart.id,
    userId: draft.buyerId,
    tokenVersion: 1,
    status: free ? 'paid' : 'pending',
    paymentStatus: free ? 'paid' : 'unpaid',
    fulfilment: 'none',
    returnStatus: 'none',
    paymentId: draft.paymentId,
    locale: draft.locale,
    currency: cart.currency,
    subtotalMinor: totals.subtotalMinor,
    discountMinor: totals.discountMinor,
    shippingMinor: totals.shippingMinor,
    shippingTaxMinor: totals.shippingTaxMinor,
    taxMinor: totals.taxMinor,
    taxIncluded: priced.taxIncluded,
    totalMinor: totals.totalMinor,
    refundedMinor: 0,
    shippingRefundedMinor: 0,
    lines: linesOf(priced),
    email: cart.email as string,
    shippingAddress: cart.shippingAddress,
    billingAddress: cart.billingAddress,
    shippingMethod: priced.shippingOffer && { id: priced.shippingOffer.id, title: priced.shippingOffer.title },
    note: cart.note,
    metadata: cart.metadata,
    holdUntil: free ? null : draft.holdUntil,
    placedAt: now,
  }
  const placed = event('orders.placed.v1', order, { paymentId: order.paymentId })
  return { state: order, events: free ? [placed, event('orders.paid.v1', order)] : [placed] }
}

/** Refuses what place refuses; asked before anything is written. */
export function refuseUnready({ cart, problems }: PricedCart): void {
  if (cart.items.length === 0) throw refuse('orders.empty')
  const blocking = problems.filter((problem) => problem.code !== 'out-of-stock')
  if (blocking.length > 0) throw refuse('orders.not-ready', blocking[0]?.detail, { errors: blocking })
}

const linesOf = (priced: PricedCart): OrderLine[] =>
  priced.lines.map(({ item, goods, amounts }) => {
    if (!goods || goods.unitPriceMinor === null) throw refuse('orders.not-ready')
    const { productId, sku, title, variantTitle, options, image, requiresShipping, unitPriceMinor } = goods
    return {
      ...item,
      ...amounts,
      ...{ productId, sku, title, variantTitle, options, image, requiresShipping, unitPriceMinor },
      cancelled: 0,
      shipped: 0,
      returned: 0,
      refundedUnits: 0,
      refundedMinor: 0,
    }
  })

/** The payment was captured: pending, or expired with its stock held again. What went back or is disputed was heard before. */
export function markPaid(order: Order): Decision<Order> {
  const { paymentStatus: before } = order
  const paymentStatus = before === 'unpaid' || before === 'authorised' || before === 'review' ? 'paid' : before
  const state: Order = { ...order, status: to(order, 'paid'), paymentStatus, holdUntil: null }
  return { state, events: [event('orders.paid.v1', state)] }
}

/** The hold is over and nothing was paid. */
export function expire(order: Order): Decision<Order> {
  const state: Order = { ...order, status: to(order, 'expired'), paymentStatus: letGo(order), holdUntil: null }
  return { state, events: [event('orders.expired.v1', state)] }
}

/** A person ends an order of which nothing has shipped; every unit counts as cancelled. An expired one has ended already. */
export function cancel(order: Order): Decision<Order> {
  if (order.status === 'expired') throw refuse('orders.invalid-transition', undefined, { orderStatus: order.status })
  return end(order)
}

/** The payment of an expired order landed too late to hold its stock again, or its cart is ordered anew: it is refunded. */
export const turnDown = (order: Order): Decision<Order> => end(order)

/** An order that ends without having been paid waits for no money: what was authorised is let go. */
const letGo = ({ paymentStatus }: Order): PaymentStatus => (paymentStatus === 'authorised' ? 'unpaid' : paymentStatus)

function end(order: Order): Decision<Order> {
  const status = to(order, 'cancelled')
  if (order.lines.some((line) => line.shipped > 0))
    throw refuse('orders.invalid-transition', 'A part of the order has shipped already: return it instead.', {
      orderStatus: order.status,
    })
  const lines = order.lines.map((line) => ({ ...line, cancelled: line.quantity }))
  const state: Order = { ...order, status, lines, paymentStatus: letGo(order), holdUntil: null }
  return { state, events: [event('orders.cancelled.v1', state, { from: order.status })] }
}

/** Units of each line that are neither cancelled nor shipped. */
export const unshipped = (order: Order): LineUnits[] =>
  order.lines
    .map((line) => ({ itemId: line.id, quantity: line.quantity - line.cancelled - line.shipped }))
    .filter((units) => units.quantity > 0)

/**
 * Ships these units of a paid order in one parcel; with the last one the order is shipped. Refuses orders.invalid-transition,
 * orders.item-not-found, orders.too-many-units.
 */
export function ship(order: Order, wanted: readonly LineUnits[], shipmentId?: ShipmentId): Decision<Order> {
  if (order.status !== 'paid') to(order, 'shipped')
  const lines = countUnits(order, wanted, (line, { quantity }) => {
    const left = line.quantity - line.cancelled - line.shipped
    return quantity <= left ? { ...line, shipped: line.shipped + quantity } : left
  })
  const counted: Order = { ...order, lines }
  const all = unshipped(counted).length === 0
  const state: Order = all
    ? { ...counted, status: to(order, 'shipped'), fulfilment: 'shipped' }
    : { ...counted, fulfilment: 'partial' }
  return { state, events: [event('orders.shipped.v1', state, { shipmentId, items: wanted, complete: all })] }
}

/** It arrived. From paid only when nothing needs shipping: then what is left counts as handed over. */
export function deliver(order: Order): Decision<Order> {
  const status = to(order, 'delivered')
  if (order.status === 'paid' && order.lines.some((line) => line.requiresShipping))
    throw refuse('orders.invalid-transition', 'The order must be shipped before it is delivered.', {
      orderStatus: order.status,
    })
  const lines = order.lines.map((line) => ({ ...line, shipped: line.quantity - line.cancelled }))
  const state: Order = { ...order, status, fulfilment: 'delivered', lines }
  return { state, events: [event('orders.delivered.v1', state)] }
}

/**
 * These units came back; with the last unit the order is returned. Refuses orders.invalid-transition before anything
 * shipped, orders.item-not-found, orders.too-many-units.
 */
export function takeBack(order: Order, wanted: readonly LineUnits[]): Decision<Order> {
  if (!order.lines.some((line) => line.shipped > 0)) to(order, 'returned')
  const lines = countUnits(order, wanted, (line, { quantity }) => {
    const left = line.shipped - line.returned
    return quantity <= left ? { ...line, returned: line.returned + quantity } : left
  })
  const all = lines.every((line) => line.returned === line.quantity - line.cancelled)
  const state: Order = {
    ...order,
    lines,
    status: all ? to(order, 'returned') : order.status,
    returnStatus: all ? 'returned' : 'partial',
  }
  return { state, events: [event('orders.returned.v1', state, { items: wanted, complete: all })] }
}

/**
 * Adds units to a counter of each named line; `count` gives the changed line, or how many units are left. Refuses
 * orders.item-not-found and orders.too-many-units.
 */
export function countUnits<Units extends LineUnits>(
  order: Order,
  wanted: readonly Units[],
  count: (line: OrderLine, units: Units) => OrderLine | number,
): OrderLine[] {
  const lines = new Map(order.lines.map((line) => [line.id, line]))
  wanted.forEach((units, index) => {
    const { itemId, quantity } = units
    const line = lines.get(itemId)
    const pointer = `/lines/${index}`
    if (!line)
      throw refuse('orders.item-not-found', undefined, {
        errors: [{ pointer: `${pointer}/itemId`, detail: 'No item of this order.' }],
      })
    const counted = count(line, units)
    if (typeof counted === 'number')
      throw refuse('orders.too-many-units', `${counted} units are left, ${quantity} were named.`, {
        errors: [{ pointer: `${pointer}/quantity`, detail: `at most ${counted}`, left: counted }],
      })
    lines.set(itemId, counted)
  })
  return [...lines.values()]
}

/** Why money that came late could not make its order: the order was cancelled, its goods sold out, its cart ordered anew. */
export type Unfulfillable = 'cancelled' | 'sold-out' | 'ordered-anew'

/** Money for an order that cannot be fulfilled goes back. */
export const unfulfillable = (
  order: Order,
  { paymentId, amountMinor }: { readonly paymentId: PaymentId; readonly amountMinor: number },
  why: Unfulfillable,
): DomainEvent => event('orders.unfulfillable.v1', order, { paymentId, amountMinor, why })

/** The event of a change: ids and amounts, nothing personal. */
export function event(
  type: `orders.${string}.v1`,
  order: Pick<Order, 'id' | 'number' | 'totalMinor' | 'currency'>,
  more: object = {},
): DomainEvent {
  const { id, number, totalMinor, currency } = order
  return { type, subject: id, data: { orderId: id, number, totalMinor, currency, ...more } }
}
