import { sql } from 'kysely'
import type { Id, OrderId } from '#kernel/ids.ts'
import { money } from '#kernel/money.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import { asOwn } from '#platform/http/fields.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import { refundedOfLine } from '../domain/follow-payment.ts'
import type { Order, OrderStatus } from '../domain/order.ts'
import type { OrderRow } from './order-rows.ts'
import { EMAIL_FIELD } from './order-store.ts'
import type { OrderSummary, OrderView, Timeline } from './schemas.ts'

export type PaymentView = NonNullable<OrderView['payment']>

/** The order as its buyer and staff see it. */
export function orderView(order: Order, payment: PaymentView | null, token: string): OrderView {
  const amount = (amountMinor: number) => money(amountMinor, order.currency)
  return {
    id: order.id,
    number: order.number,
    cartId: order.cartId,
    token: order.userId === null ? token : null,
    status: order.status,
    paymentStatus: order.paymentStatus,
    fulfilment: order.fulfilment,
    return: order.returnStatus,
    currency: order.currency,
    items: order.lines.map((line) => ({
      id: line.id,
      variantId: line.variantId,
      productId: line.productId,
      sku: line.sku,
      title: line.title,
      variantTitle: line.variantTitle,
      options: { ...line.options },
      image: line.image,
      quantity: line.quantity,
      unitPrice: amount(line.unitPriceMinor),
      discount: amount(line.discountMinor),
      total: amount(line.totalMinor),
      tax: amount(line.taxMinor),
      taxRate: line.rate,
      metadata: line.metadata,
      cancelled: line.cancelled,
      shipped: line.shipped,
      returned: line.returned,
      refundedUnits: line.refundedUnits,
      refunded: amount(refundedOfLine(order, line)),
    })),
    subtotal: amount(order.subtotalMinor),
    discount: amount(order.discountMinor),
    shipping: amount(order.shippingMinor),
    shippingTax: amount(order.shippingTaxMinor),
    tax: amount(order.taxMinor),
    taxIncluded: order.taxIncluded,
    total: amount(order.totalMinor),
    refunded: amount(order.refundedMinor),
    shippingRefunded: amount(order.shippingRefundedMinor),
    email: order.email,
    shippingAddress: order.shippingAddress,
    billingAddress: order.billingAddress,
    note: order.note,
    metadata: order.metadata,
    shippingMethod: order.shippingMethod,
    holdUntil: order.holdUntil?.toISOString() ?? null,
    placedAt: order.placedAt.toISOString(),
    payment,
  }
}

/** What a list of orders is narrowed to; `userId` null: everybody's. */
export type OrderFilter = {
  readonly userId: string | null
  readonly number?: string
  readonly email?: string
  readonly sku?: string
  readonly status?: OrderStatus
  readonly fulfilment?: Order['fulfilment']
  readonly placedFrom?: Date
  readonly placedBefore?: Date
  readonly oldestFirst: boolean
  readonly limit: number
  readonly afterId?: string
}

type SummaryRow = Pick<
  OrderRow,
  | 'id'
  | 'number'
  | 'status'
  | 'payment_status'
  | 'fulfilment'
  | 'return_status'
  | 'currency'
  | 'total_minor'
  | 'refunded_minor'
> & { user_id: string | null; email: Buffer; placed_at: Date; units: number }

/** SQL that reads orders. */
export function makeOrderViews({ open, blindIndex }: Encryption) {
  const summaryOf = (row: SummaryRow): OrderSummary => ({
    id: row.id,
    number: row.number,
    status: row.status,
    paymentStatus: row.payment_status,
    fulfilment: row.fulfilment,
    return: row.return_status,
    total: money(row.total_minor, row.currency),
    refunded: money(row.refunded_minor, row.currency),
    units: row.units,
    email: open(row.email, { table: 'orders.orders', column: 'email', row: row.id }),
    placedAt: row.placed_at.toISOString(),
  })

  /** One page of orders, in the order of their ids: the time they were placed. The viewer's are marked as their own. */
  const listOrders = async (db: Reader, filter: OrderFilter, viewerId: string | null): Promise<Page<OrderSummary>> => {
    const conditions = [
      sql`true`,
      ...(filter.userId ? [sql`o.user_id = ${filter.userId}`] : []),
      ...(filter.number ? [sql`o.number = ${filter.number}`] : []),
      ...(filter.email ? [sql`o.email_index = ${blindIndex(filter.email, EMAIL_FIELD)}`] : []),
      ...(filter.status ? [sql`o.status = ${filter.status}`] : []),
      ...(filter.fulfilment ? [sql`o.fulfilment = ${filter.fulfilment}`] : []),
      ...(filter.placedFrom ? [sql`o.placed_at >= ${filter.placedFrom}`] : []),
      ...(filter.placedBefore ? [sql`o.placed_at < ${filter.placedBefore}`] : []),
      ...(filter.sku
        ? [sql`exists (select from orders.order_lines s where s.order_id = o.id and s.sku = ${filter.sku})`]
        : []),
      ...(filter.afterId ? [filter.oldestFirst ? sql`o.id > ${filter.afterId}` : sql`o.id < ${filter.afterId}`] : []),
    ]
    const { rows } = await sql<SummaryRow>`
      select o.id, o.number, o.status, o.payment_status, o.fulfilment, o.return_status, o.currency, o.total_minor,
        o.refunded_minor, o.user_id, o.email, o.placed_at,
        (select sum(l.quantity)::integer from orders.order_lines l where l.order_id = o.id) as units
      from orders.orders o where ${sql.join(conditions, sql` and `)}
      order by o.id ${filter.oldestFirst ? sql`asc` : sql`desc`} limit ${filter.limit + 1}`.execute(db)
    const shown = (row: SummaryRow) => (viewerId && row.user_id === viewerId ? asOwn(summaryOf(row)) : summaryOf(row))
    return pageOf(rows, filter.limit, shown, (row) => [row.id])
  }

  type TimelineRow = {
    at: Date
    kind: string
    from_status: OrderStatus | null
    to_status: OrderStatus | null
    actor_kind: string
    actor_id: string | null
    facts: Record<string, unknown>
    note_id: Id<'note'> | null
    text: Buffer | null
  }

  /** Everything that happened to an order, oldest first, the notes opened. */
  const timelineOf = async (db: Reader, id: OrderId): Promise<Timeline> => {
    const { rows } = await sql<TimelineRow>`
      select t.at, t.kind, t.from_status, t.to_status, t.actor_kind, t.actor_id, t.facts, n.id as note_id, n.text
      from orders.timeline t left join orders.notes n on n.id = t.facts ->> 'noteId'
      where t.order_id = ${id} order by t.id`.execute(db)
    return {
      data: rows.map((row) => ({
        at: row.at.toISOString(),
        kind: row.kind,
        from: row.from_status,
        to: row.to_status,
        actor: row.actor_kind,
        actorId: row.actor_id,
        facts: row.facts,
        note: row.note_id && row.text && open(row.text, { table: 'orders.notes', column: 'text', row: row.note_id }),
      })),
    }
  }

  const orderByNumber = async (db: Reader, number: string): Promise<OrderId | undefined> => {
    const { rows } = await sql<{ id: OrderId }>`select id from orders.orders where number = ${number}`.execute(db)
    return rows[0]?.id
  }

  return { listOrders, timelineOf, orderByNumber }
}

export type OrderViews = ReturnType<typeof makeOrderViews>
