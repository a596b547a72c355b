import { sql } from 'kysely'
import type { CartItemId, OrderId, RefundId } from '#kernel/ids.ts'
import { actorIdOf } from '#platform/db/system.ts'
import type { Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { NewNote } from '../application/add-note.ts'
import type { Shipment } from '../application/ship-order.ts'
import type { Taken } from '../application/take-back.ts'
import type { RefundPart } from '../domain/refund-lines.ts'

/** SQL that adds what is kept beside an order: shipments, returns, notes, and what refunds took of its lines. */
export const makeOrderRecords = ({ seal }: Encryption) => ({
  insertShipment: async (work: Work, shipment: Shipment): Promise<void> => {
    const { id, orderId, items, carrier, trackingNumber } = shipment
    await sql`
      insert into orders.shipments (id, order_id, items, carrier, tracking_number, shipped_at)
      values (${id}, ${orderId}, ${JSON.stringify(items)}::jsonb, ${carrier}, ${trackingNumber}, ${work.now})`.execute(
      work.tx,
    )
  },

  insertReturn: async (work: Work, { id, orderId, items, reason }: Taken): Promise<void> => {
    await sql`
      insert into orders.returns (id, order_id, items, reason, returned_at)
      values (${id}, ${orderId}, ${JSON.stringify(items)}::jsonb, ${reason}, ${work.now})`.execute(work.tx)
  },

  insertRefundLines: async (
    work: Work,
    { refundId, orderId, parts }: { refundId: RefundId; orderId: OrderId; parts: readonly RefundPart[] },
  ): Promise<void> => {
    await sql`
      insert into orders.refund_lines (refund_id, order_id, item_id, quantity, amount_minor)
      select ${refundId}, ${orderId}, item_id, quantity, amount_minor
      from unnest(${parts.map(({ itemId }) => itemId)}::text[], ${parts.map(({ quantity }) => quantity)}::int[],
        ${parts.map(({ amountMinor }) => amountMinor)}::bigint[]) as given (item_id, quantity, amount_minor)`.execute(
      work.tx,
    )
  },

  /** What a refund counted, once: the second time it is none. */
  failRefundLines: async (work: Work, id: RefundId): Promise<RefundPart[]> => {
    const { rows } = await sql<{ itemId: CartItemId | null; quantity: number; amountMinor: number }>`
      update orders.refund_lines set failed_at = ${work.now} where refund_id = ${id} and failed_at is null
      returning item_id as "itemId", quantity, amount_minor as "amountMinor"`.execute(work.tx)
    return rows
  },

  /** Inserts the note and tells the timeline that there is one. */
  insertNote: async (work: Work, { id, orderId, text }: NewNote): Promise<void> => {
    const sealed = seal(text, { table: 'orders.notes', column: 'text', row: id })
    await sql`
      with written as (
        insert into orders.notes (id, order_id, author_id, text, written_at)
        values (${id}, ${orderId}, ${actorIdOf(work.actor)}, ${sealed}, ${work.now})
      )
      insert into orders.timeline (order_id, at, kind, actor_kind, actor_id, facts)
      values (${orderId}, ${work.now}, 'note', ${work.actor.kind}, ${actorIdOf(work.actor)},
        jsonb_build_object('noteId', ${id}::text))`.execute(work.tx)
  },
})
