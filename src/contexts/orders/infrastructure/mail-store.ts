import { sql } from 'kysely'
import type { ShipmentId } from '#kernel/ids.ts'
import type { Reader } from '#platform/db/work.ts'
import type { MailRecord, SendOrderMailNeeds } from '../application/send-order-mails.ts'
import type { Shipment } from '../application/ship-order.ts'

const isThis = ({ orderId, about, eventId }: MailRecord) => sql`
  order_id = ${orderId} and about = ${about} and event_id = ${eventId}`

/** Leases a mail in one statement, so that of several processes one sends it. */
export const claimMail: SendOrderMailNeeds['claimMail'] = async (db, record, { now, leaseUntil, quietSince }) => {
  const { orderId, about, eventId } = record
  const { rows } = await sql<{ claim: 'claimed' | 'told' | 'busy' }>`
    with claimed as (
      insert into orders.mails as m (order_id, about, event_id, lease_until)
      values (${orderId}, ${about}, ${eventId}, ${leaseUntil})
      on conflict (order_id, about) do update
        set event_id = excluded.event_id, lease_until = excluded.lease_until, sent_at = null
        where case when m.sent_at is null then m.event_id <= excluded.event_id and m.lease_until <= ${now}
          else m.event_id < excluded.event_id and m.sent_at <= ${quietSince} end
      returning about
    )
    select case when exists (select from claimed) then 'claimed'
      when exists (select from orders.mails m where m.order_id = ${orderId} and m.about = ${about}
        and (m.sent_at is not null or m.event_id > ${eventId})) then 'told'
      else 'busy' end as claim`.execute(db)
  return rows[0]?.claim ?? 'busy'
}

/** The mail is with the mail server. */
export async function recordMail(db: Reader, record: MailRecord, now: Date): Promise<void> {
  await sql`update orders.mails set sent_at = ${now} where ${isThis(record)}`.execute(db)
}

/** The mail was not sent: its next try need not wait. */
export async function releaseMail(db: Reader, record: MailRecord, now: Date): Promise<void> {
  await sql`update orders.mails set lease_until = ${now} where ${isThis(record)} and sent_at is null`.execute(db)
}

/** What went into one parcel, and with whom. */
export async function findShipment(db: Reader, id: ShipmentId): Promise<Shipment | undefined> {
  const { rows } = await sql<Shipment>`
    select id, order_id as "orderId", items, carrier, tracking_number as "trackingNumber"
    from orders.shipments where id = ${id}`.execute(db)
  return rows[0]
}
