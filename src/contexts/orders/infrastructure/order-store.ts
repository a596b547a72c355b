import { sql } from 'kysely'
import type { Decision } from '#kernel/event.ts'
import type { OrderId } from '#kernel/ids.ts'
import { actorIdOf } from '#platform/db/system.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { Order } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'
import { type OrderRow, orderColumns, orderOf } from './order-rows.ts'
import { personalOf } from './personal.ts'

/** One row of an order's timeline. */
export type Happening = { readonly kind: string; readonly facts?: object }

export const EMAIL_FIELD = 'users.email'

/** SQL that changes orders. */
export function makeOrderStore(encryption: Encryption) {
  const personal = personalOf('orders.orders', encryption)

  /** Inserts the order, its lines and the first row of its timeline: one statement. */
  const insertOrder = async (work: Work, order: Order): Promise<void> => {
    const sealed = personal.seal(order.id, order)
    const lines = order.lines.map((line, position) => ({ ...line, position }))
    await sql`
      with inserted as (
        insert into orders.orders (id, number, cart_id, user_id, token_version, status, payment_status, fulfilment,
          return_status, payment_id, locale, currency, subtotal_minor, discount_minor, shipping_minor, shipping_tax_minor,
          tax_minor, tax_included, total_minor, email, email_index, shipping_address, billing_address, note,
          shipping_method, metadata, hold_until, placed_at, updated_at)
        values (${order.id}, ${order.number}, ${order.cartId}, ${order.userId}, ${order.tokenVersion}, ${order.status},
          ${order.paymentStatus}, ${order.fulfilment}, ${order.returnStatus}, ${order.paymentId}, ${order.locale}, ${order.currency},
          ${order.subtotalMinor}, ${order.discountMinor}, ${order.shippingMinor}, ${order.shippingTaxMinor},
          ${order.taxMinor}, ${order.taxIncluded}, ${order.totalMinor}, ${sealed.email},
          ${encryption.blindIndex(order.email, EMAIL_FIELD)}, ${sealed.shipping_address}, ${sealed.billing_address},
          ${sealed.note}, ${order.shippingMethod && JSON.stringify(order.shippingMethod)}::jsonb,
          ${JSON.stringify(order.metadata)}::jsonb, ${order.holdUntil}, ${order.placedAt}, ${order.placedAt})
      ), told as (
        insert into orders.timeline (order_id, at, kind, to_status, actor_kind, actor_id)
        values (${order.id}, ${work.now}, 'placed', ${order.status}, ${work.actor.kind}, ${actorIdOf(work.actor)})
      )
      insert into orders.order_lines (order_id, position, id, variant_id, product_id, sku, title, variant_title, options,
        image, requires_shipping, metadata, unit_price_minor, quantity, subtotal_minor, discount_minor, total_minor,
        tax_rate, tax_included, tax_minor)
      select ${order.id}, l."position", l."id", l."variantId", l."productId", l."sku", l."title", l."variantTitle",
        l."options", l."image", l."requiresShipping", l."metadata", l."unitPriceMinor", l."quantity", l."subtotalMinor",
        l."discountMinor", l."totalMinor", l."rate", l."taxIncluded", l."taxMinor"
      from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as l("position" integer, "id" text, "variantId" text,
        "productId" text, "sku" text, "title" text, "variantTitle" text, "options" jsonb, "image" text,
        "requiresShipping" boolean, "metadata" jsonb, "unitPriceMinor" bigint, "quantity" integer,
        "subtotalMinor" bigint, "discountMinor" bigint, "totalMinor" bigint, "rate" integer, "taxIncluded" boolean,
        "taxMinor" bigint)`.execute(work.tx)
  }

  const findOrder = async (db: Reader, id: OrderId): Promise<Order | undefined> => {
    const { rows } = await sql<OrderRow>`select ${orderColumns} from orders.orders o where o.id = ${id}`.execute(db)
    return rows[0] && orderOf(rows[0], personal)
  }

  /** Locks the order and, before it, its cart. The lines are read after, so that they are those of the locked row. */
  const lockOrder = async (work: Work, id: OrderId): Promise<Order | undefined> => {
    await sql`
      with cart as (
        select c.id from orders.carts c
        where c.id = (select cart_id from orders.orders where id = ${id}) for update
      )
      select o.id from orders.orders o left join cart on true where o.id = ${id} for update of o`.execute(work.tx)
    return findOrder(work.tx, id)
  }

  /** Saves what a decision changed, and tells the timeline: one statement. */
  const saveOrder = async (work: Work, before: Order, after: Order, { kind, facts = {} }: Happening): Promise<void> => {
    const moved = before.status !== after.status
    await sql`
      with saved as (
        update orders.orders set status = ${after.status}, payment_status = ${after.paymentStatus},
          fulfilment = ${after.fulfilment}, return_status = ${after.returnStatus}, hold_until = ${after.holdUntil},
          refunded_minor = ${after.refundedMinor}, shipping_refunded_minor = ${after.shippingRefundedMinor},
          updated_at = ${work.now}
        where id = ${after.id}
      ), told as (
        insert into orders.timeline (order_id, at, kind, from_status, to_status, actor_kind, actor_id, facts)
        values (${after.id}, ${work.now}, ${kind}, ${moved ? before.status : null}, ${moved ? after.status : null},
          ${work.actor.kind}, ${actorIdOf(work.actor)}, ${JSON.stringify(facts)}::jsonb)
      )
      update orders.order_lines l set cancelled = c.cancelled, shipped = c.shipped, returned = c.returned,
        refunded_units = c."refundedUnits", refunded_minor = c."refundedMinor"
      from jsonb_to_recordset(${JSON.stringify(after.lines)}::jsonb)
        as c("id" text, "cancelled" integer, "shipped" integer, "returned" integer, "refundedUnits" integer,
          "refundedMinor" bigint)
      where l.order_id = ${after.id} and l.id = c."id"
        and (l.cancelled, l.shipped, l.returned, l.refunded_units, l.refunded_minor)
          is distinct from (c."cancelled", c."shipped", c."returned", c."refundedUnits", c."refundedMinor")`.execute(
      work.tx,
    )
  }

  /** Locks one order, lets `decide` change it, saves it, tells the timeline and queues its events. Refuses orders.not-found. */
  const changeOrder = async (
    work: Work,
    id: OrderId,
    decide: (order: Order) => Promise<Decision<Order>> | Decision<Order>,
    happening: Happening,
  ): Promise<Order> => {
    const before = await lockOrder(work, id)
    if (!before) throw refuse('orders.not-found')
    const { state: after, events } = await decide(before)
    if (after === before) return before
    await saveOrder(work, before, after, happening)
    work.emit(...events)
    return after
  }

  /**
   * Marks all pending ones among these orders paid, locking in id order: one statement for a batch. Returns them, as
   * their events need them; who is missing was not pending.
   */
  const markPendingPaid = async (work: Work, ids: readonly OrderId[]) => {
    const { rows } = await sql<Pick<Order, 'id' | 'number' | 'totalMinor' | 'currency'>>`
      with locked as (
        select id from orders.orders where id = any(${ids}::text[]) and status = 'pending' order by id for update
      ), paid as (
        update orders.orders o set status = 'paid', hold_until = null, updated_at = ${work.now},
          payment_status = case when payment_status in ('unpaid', 'authorised', 'review') then 'paid' else payment_status end
        from locked where o.id = locked.id
        returning o.id, o.number, o.total_minor, o.currency
      ), told as (
        insert into orders.timeline (order_id, at, kind, from_status, to_status, actor_kind)
        select id, ${work.now}, 'paid', 'pending', 'paid', ${work.actor.kind} from paid
      )
      select id, number, total_minor as "totalMinor", currency from paid`.execute(work.tx)
    return rows
  }

  /** Locks pending orders whose hold is over, each with its cart, leaving out what somebody else is working on. */
  const lockOverdue = async (work: Work, limit: number) => {
    const { rows } = await sql<Pick<Order, 'id' | 'number' | 'paymentId' | 'totalMinor' | 'currency'>>`
      with due as (
        select id, cart_id from orders.orders where status = 'pending' and hold_until <= ${work.now}
        order by hold_until limit ${limit}
      ), theirs as (
        select c.id from orders.carts c where c.id = any(select cart_id from due) order by c.id for update skip locked
      )
      select o.id, o.number, o.payment_id as "paymentId", o.total_minor as "totalMinor", o.currency
      from orders.orders o join theirs on theirs.id = o.cart_id
      where o.id = any(select id from due) and o.status = 'pending' and o.hold_until <= ${work.now}
      order by o.id for update of o skip locked`.execute(work.tx)
    return rows
  }

  /** Expires these locked orders. */
  const markExpired = async (work: Work, ids: readonly OrderId[]): Promise<void> => {
    await sql`
      with expired as (
        update orders.orders set status = 'expired', hold_until = null, updated_at = ${work.now},
          payment_status = case payment_status when 'authorised' then 'unpaid' else payment_status end
        where id = any(${ids}::text[]) returning id
      )
      insert into orders.timeline (order_id, at, kind, from_status, to_status, actor_kind)
      select id, ${work.now}, 'expired', 'pending', 'expired', ${work.actor.kind} from expired`.execute(work.tx)
  }

  /** Moves the end of these locked orders' holds. */
  const extendHolds = async (work: Work, holds: readonly { id: OrderId; until: Date }[]): Promise<void> => {
    await sql`
      update orders.orders o set hold_until = h.until, updated_at = ${work.now}
      from unnest(${holds.map((hold) => hold.id)}::text[], ${holds.map((hold) => hold.until)}::timestamptz[]) as h(id, until)
      where o.id = h.id`.execute(work.tx)
  }

  return {
    ...{ insertOrder, findOrder, lockOrder, changeOrder },
    ...{ markPendingPaid, lockOverdue, markExpired, extendHolds },
  }
}

export type OrderStore = ReturnType<typeof makeOrderStore>
