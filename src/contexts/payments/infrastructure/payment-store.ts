import { sql } from 'kysely'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { DuePayment } from '../application/heal-payments.ts'
import type { PayableOrder } from '../application/open-payment.ts'
import type { ClosingReason, Payment, PaymentStatus } from '../domain/payment.ts'
import type { Capture } from '../domain/settle.ts'

export type PaymentRow = {
  id: PaymentId
  order_id: OrderId
  status: PaymentStatus
  amount_minor: number
  currency: string
  capture_minor: number | null
  captured_minor: number
  refunded_minor: number
  refunding_minor: number
  provider: string | null
  provider_payment_id: string | null
  objects_left: number
  authorised_until: Date | null
  review_reason: string | null
  payable_until: Date
  opened_at: Date
  closing_reason: ClosingReason | null
  closing_since: Date | null
  close_at: Date | null
}
/** The columns of a `PaymentRow`, of `payments.payments p`. */
export const PAYMENT =
  sql.raw(`p.id, p.order_id, p.status, p.amount_minor, p.currency, p.capture_minor, p.captured_minor, p.refunded_minor,
  p.refunding_minor, p.provider, p.provider_payment_id, p.objects_left, p.authorised_until, p.review_reason, p.payable_until, p.opened_at, p.closing_reason,
  p.closing_since, p.close_at`)
const BATCH = 50

/** Stores a new payment. */
export async function insertPayment(work: Work, id: PaymentId, order: PayableOrder): Promise<void> {
  const { orderId, orderNumber, buyerUserId, tokenVersion, amount, payableUntil } = order
  await sql`
    insert into payments.payments
      (id, order_id, order_number, buyer_user_id, token_version, amount_minor, currency, payable_until, opened_at)
    values (${id}, ${orderId}, ${orderNumber}, ${buyerUserId}, ${tokenVersion}, ${amount.amountMinor},
      ${amount.currency}, ${payableUntil}, ${work.now})`.execute(work.tx)
}

/**
 * Locks payments in id order: those of these ids, and those that own these objects at a provider. Every change of a
 * payment, its attempts and its refunds is made under this lock.
 */
export async function lockPayments(
  work: Work,
  ids: readonly PaymentId[],
  objects: readonly { provider: string; id: string }[] = [],
): Promise<Payment[]> {
  const { rows } = await sql<PaymentRow>`
    select ${PAYMENT} from payments.payments p
    where p.id = any(array(
      select unnest(${ids}::text[])
      union select (select o.id from payments.payments o where o.provider = f.provider and o.provider_payment_id = f.id)
      from unnest(${objects.map(({ provider }) => provider)}::text[], ${objects.map(({ id }) => id)}::text[])
        as f (provider, id)))
    order by p.id for update`.execute(work.tx)
  return rows.map(toPayment)
}

/** Whether the books have the capture of this provider payment; the payment that it belongs to is locked. */
export async function isBooked(work: Work, { provider, providerPaymentId }: Capture): Promise<boolean> {
  const { rows } = await sql<{ id: number }>`
    select id from payments.captures
    where provider = ${provider} and provider_payment_id = ${providerPaymentId}`.execute(work.tx)
  return rows.length > 0
}

/** Leases closing payments that are still to be cancelled at their provider. */
export async function claimDueClosings(db: Reader, now: Date): Promise<(DuePayment & { providerPaymentId: string })[]> {
  const { rows } = await sql<DuePayment & { providerPaymentId: string }>`
    with due as (
      select id from payments.payments where close_at <= ${now}
      order by close_at limit ${BATCH} for update skip locked
    )
    update payments.payments p set close_at = ${now}::timestamptz + interval '30 seconds'
    from due where p.id = due.id
    returning p.id, p.provider, p.provider_payment_id as "providerPaymentId"`.execute(db)
  return rows
}

/** Reads a row as what the domain decides on. */
export const toPayment = (row: PaymentRow): Payment => ({
  id: row.id,
  orderId: row.order_id,
  status: row.status,
  amount: { amountMinor: row.amount_minor, currency: row.currency },
  captureMinor: row.capture_minor,
  capturedMinor: row.captured_minor,
  refundedMinor: row.refunded_minor,
  refundingMinor: row.refunding_minor,
  provider: row.provider,
  providerPaymentId: row.provider_payment_id,
  objectsLeft: row.objects_left,
  authorisedUntil: row.authorised_until,
  reviewReason: row.review_reason,
  payableUntil: row.payable_until,
  openedAt: row.opened_at,
  closingReason: row.closing_reason,
  closingSince: row.closing_since,
  closeAt: row.close_at,
})
