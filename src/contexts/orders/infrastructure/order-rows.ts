import { sql } from 'kysely'
import type { CartId, OrderId, PaymentId, UserId } from '#kernel/ids.ts'
import type { Order, OrderLine } from '../domain/order.ts'
import type { PersonalSeal, SealedPersonal } from './personal.ts'

export type OrderRow = SealedPersonal & {
  id: OrderId
  number: string
  cart_id: CartId
  user_id: UserId | null
  token_version: number
  status: Order['status']
  payment_status: Order['paymentStatus']
  fulfilment: Order['fulfilment']
  return_status: Order['returnStatus']
  payment_id: PaymentId | null
  locale: string
  currency: string
  subtotal_minor: number
  discount_minor: number
  shipping_minor: number
  shipping_tax_minor: number
  tax_minor: number
  tax_included: boolean
  total_minor: number
  refunded_minor: number
  shipping_refunded_minor: number
  shipping_method: Order['shippingMethod']
  metadata: Record<string, string>
  hold_until: Date | null
  placed_at: Date
  lines: OrderLine[]
}

/** The columns of orders.orders `o`, and its lines as one JSON list in the shape of OrderLine. */
export const orderColumns = sql`
  o.id, o.number, o.cart_id, o.user_id, o.token_version, o.status, o.payment_status, o.fulfilment, o.return_status,
  o.payment_id, o.locale, o.currency, o.subtotal_minor, o.discount_minor, o.shipping_minor, o.shipping_tax_minor, o.tax_minor,
  o.tax_included, o.total_minor, o.refunded_minor, o.shipping_refunded_minor, o.email, o.shipping_address, o.billing_address,
  o.note, o.shipping_method, o.metadata, o.hold_until, o.placed_at,
  (select json_agg(json_build_object('id', l.id, 'variantId', l.variant_id, 'productId', l.product_id, 'sku', l.sku,
      'title', l.title, 'variantTitle', l.variant_title, 'options', l.options, 'image', l.image,
      'requiresShipping', l.requires_shipping, 'metadata', l.metadata, 'unitPriceMinor', l.unit_price_minor,
      'quantity', l.quantity, 'cancelled', l.cancelled, 'shipped', l.shipped, 'returned', l.returned,
      'subtotalMinor', l.subtotal_minor, 'discountMinor', l.discount_minor, 'totalMinor', l.total_minor,
      'rate', l.tax_rate, 'taxIncluded', l.tax_included, 'taxMinor', l.tax_minor, 'refundedUnits', l.refunded_units,
      'refundedMinor', l.refunded_minor)
    order by l.position) from orders.order_lines l where l.order_id = o.id) as lines`

/** Reads a row back into an order, its personal columns opened. */
export const orderOf = (row: OrderRow, personal: PersonalSeal): Order => ({
  id: row.id,
  number: row.number,
  cartId: row.cart_id,
  userId: row.user_id,
  tokenVersion: row.token_version,
  status: row.status,
  paymentStatus: row.payment_status,
  fulfilment: row.fulfilment,
  returnStatus: row.return_status,
  paymentId: row.payment_id,
  locale: row.locale,
  currency: row.currency,
  subtotalMinor: row.subtotal_minor,
  discountMinor: row.discount_minor,
  shippingMinor: row.shipping_minor,
  shippingTaxMinor: row.shipping_tax_minor,
  taxMinor: row.tax_minor,
  taxIncluded: row.tax_included,
  totalMinor: row.total_minor,
  refundedMinor: row.refunded_minor,
  shippingRefundedMinor: row.shipping_refunded_minor,
  lines: row.lines,
  ...(personal.open(row.id, row) as ReturnType<PersonalSeal['open']> & { email: string }),
  shippingMethod: row.shipping_method,
  metadata: row.metadata,
  holdUntil: row.hold_until,
  placedAt: row.placed_at,
})
