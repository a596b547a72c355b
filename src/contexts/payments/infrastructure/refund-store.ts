import { sql } from 'kysely'
import type { ApiKeyId, OrderId, PaymentId, RefundId, UserId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { KeyedRefund } from '../application/refund-payment.ts'
import type { Refund } from '../domain/refund.ts'

/** A row of `payments.refunds r`. */
export type RefundRow = {
  id: RefundId
  payment_id: PaymentId
  provider: string
  provider_payment_id: string
  provider_refund_id: string | null
  surplus: boolean
  amount_minor: number
  currency: string
  reason: string
  requested_by: UserId | ApiKeyId | null
  status: Refund['status']
  created_at: Date
  ended_at: Date | null
}

/** The columns of a `RefundRow`. */
export const REFUND = sql.raw(`r.id, r.payment_id, r.provider, r.provider_payment_id, r.provider_refund_id, r.surplus,
  r.amount_minor, r.currency, r.reason, r.requested_by, r.status, r.created_at, r.ended_at`)
const BATCH = 20

/** The order of a payment, which never changes: read without a lock, as the order is to be locked first. */
export async function orderOfPayment(work: Work, id: PaymentId): Promise<OrderId | undefined> {
  const { rows } = await sql<{ order_id: OrderId }>`select order_id from payments.payments where id = ${id}`.execute(
    work.tx,
  )
  return rows[0]?.order_id
}

/** The refund of a locked payment that this key asked for. */
export async function refundOfKey(work: Work, paymentId: PaymentId, keyHash: Buffer): Promise<KeyedRefund | undefined> {
  const { rows } = await sql<
    RefundRow & { request_hash: Buffer | null; sealed_answer: Buffer | null; lease_until: Date | null }
  >`
    select ${REFUND}, r.request_hash, r.sealed_answer, r.lease_until from payments.refunds r
    where r.payment_id = ${paymentId} and r.key_hash = ${keyHash}`.execute(work.tx)
  const row = rows[0]
  if (!row) return undefined
  const { request_hash: requestHash, sealed_answer: sealedAnswer, lease_until: leaseUntil } = row
  return { ...toRefund(row), requestHash, sealedAnswer, leaseUntil }
}

/** One refund; its payment is locked. */
export async function refundOfId(work: Work, id: RefundId): Promise<Refund | undefined> {
  const { rows } = await sql<RefundRow>`select ${REFUND} from payments.refunds r where r.id = ${id}`.execute(work.tx)
  return rows[0] && toRefund(rows[0])
}

/** Leases refunds that nobody is carrying out: half a minute at first, up to an hour when they fail again and again. */
export async function claimDueRefunds(db: Reader, now: Date): Promise<Refund[]> {
  const { rows } = await sql<RefundRow>`
    with due as (
      select id from payments.refunds where lease_until <= ${now}
      order by lease_until limit ${BATCH} for update skip locked
    )
    update payments.refunds r set tries = r.tries + 1,
      lease_until = ${now}::timestamptz + least(interval '30 seconds' * power(2, least(r.tries, 10)), interval '1 hour')
    from due where r.id = due.id returning ${REFUND}`.execute(db)
  return rows.map(toRefund)
}

/** Reads a row as what the domain decides on. */
export const toRefund = (row: RefundRow): Refund => ({
  id: row.id,
  paymentId: row.payment_id,
  provider: row.provider,
  providerPaymentId: row.provider_payment_id,
  providerRefundId: row.provider_refund_id,
  surplus: row.surplus,
  amount: { amountMinor: row.amount_minor, currency: row.currency },
  reason: row.reason,
  requestedBy: row.requested_by,
  status: row.status,
  createdAt: row.created_at,
  endedAt: row.ended_at,
})
