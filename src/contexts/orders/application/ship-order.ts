import type { ShipStock } from '#contexts/catalog/index.ts'
import type { Decision } from '#kernel/event.ts'
import type { OrderId, ShipmentId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { deliver, type LineUnits, type Order, ship, unshipped } from '../domain/order.ts'

/** Locks one order, lets `decide` change it, saves it, tells its timeline and queues its events. Refuses orders.not-found. */
export type ChangeOrder = (
  work: Work,
  id: OrderId,
  decide: (order: Order) => Promise<Decision<Order>> | Decision<Order>,
  happening: { readonly kind: string; readonly facts?: object },
) => Promise<Order>

export type Parcel = {
  /** Left out: everything that is left. */
  readonly lines?: readonly LineUnits[]
  readonly carrier?: string
  readonly trackingNumber?: string
}

export type Shipment = {
  readonly id: ShipmentId
  readonly orderId: OrderId
  readonly items: readonly LineUnits[]
  readonly carrier: string | null
  readonly trackingNumber: string | null
}

export type ShipOrderNeeds = {
  readonly changeOrder: ChangeOrder
  readonly shipStock: ShipStock
  readonly newShipmentId: () => ShipmentId
  readonly insertShipment: (work: Work, shipment: Shipment) => Promise<void>
}

/**
 * Ships a paid order, or a part of it; the stock leaves. Refuses orders.not-found, orders.invalid-transition,
 * orders.item-not-found, orders.too-many-units, catalog.nothing-on-hand.
 */
export const shipOrder =
  (needs: ShipOrderNeeds) =>
  async (work: Work, id: OrderId, parcel: Parcel = {}): Promise<Order> => {
    const shipmentId = needs.newShipmentId()
    let items: readonly LineUnits[] = []
    const order = await needs.changeOrder(
      work,
      id,
      (before) => {
        items = parcel.lines ?? unshipped(before)
        return ship(before, items, shipmentId)
      },
      { kind: 'shipped', facts: { shipmentId } },
    )
    const { carrier = null, trackingNumber = null } = parcel
    await needs.insertShipment(work, { id: shipmentId, orderId: id, items, carrier, trackingNumber })
    await needs.shipStock(work, id, stockOf(order, items))
    return order
  }

/** It arrived; when nothing needed shipping, that is also when the stock leaves. Refuses as shipOrder. */
export const deliverOrder =
  (needs: Pick<ShipOrderNeeds, 'changeOrder' | 'shipStock'>) =>
  async (work: Work, id: OrderId): Promise<Order> => {
    let handedOver: readonly LineUnits[] = []
    const order = await needs.changeOrder(
      work,
      id,
      (before) => {
        handedOver = unshipped(before)
        return deliver(before)
      },
      { kind: 'delivered' },
    )
    if (handedOver.length > 0) await needs.shipStock(work, id, stockOf(order, handedOver))
    return order
  }

/** Units by variant, as the stock counts them. */
export const stockOf = (order: Order, items: readonly LineUnits[]) =>
  order.lines.flatMap((line) => {
    const quantity = items.reduce((sum, item) => sum + (item.itemId === line.id ? item.quantity : 0), 0)
    return quantity > 0 ? [{ variantId: line.variantId, quantity }] : []
  })
