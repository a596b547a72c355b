import { sql } from 'kysely'
import type { ApiKeyId, CaptureId, PaymentId, UserId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { KeyedCapture } from '../application/capture-payment.ts'
import type { CaptureRequest } from '../domain/capture-request.ts'

type CaptureRow = {
  id: CaptureId
  payment_id: PaymentId
  provider: string | null
  provider_payment_id: string | null
  amount_minor: number
  currency: string
  requested_by: UserId | ApiKeyId | null
  status: CaptureRequest['status']
  created_at: Date
  ended_at: Date | null
}

const CAPTURE =
  sql.raw(`r.id, r.payment_id, p.provider, p.provider_payment_id, r.amount_minor, p.currency, r.requested_by,
  r.status, r.created_at, r.ended_at`)
const BATCH = 20

/** The capture of a locked payment that this key asked for. */
export async function captureOfKey(
  work: Work,
  paymentId: PaymentId,
  keyHash: Buffer,
): Promise<KeyedCapture | undefined> {
  const { rows } = await sql<
    CaptureRow & { request_hash: Buffer; sealed_answer: Buffer | null; lease_until: Date | null }
  >`
    select ${CAPTURE}, r.request_hash, r.sealed_answer, r.lease_until
    from payments.capture_requests r join payments.payments p on p.id = r.payment_id
    where r.payment_id = ${paymentId} and r.key_hash = ${keyHash}`.execute(work.tx)
  const row = rows[0]
  if (!row) return undefined
  const { request_hash: requestHash, sealed_answer: sealedAnswer, lease_until: leaseUntil } = row
  return { ...toCapture(row), requestHash, sealedAnswer, leaseUntil }
}

/** One request; its payment is locked. */
export async function captureOfId(work: Work, id: CaptureId): Promise<CaptureRequest | undefined> {
  const { rows } = await sql<CaptureRow>`
    select ${CAPTURE} from payments.capture_requests r join payments.payments p on p.id = r.payment_id
    where r.id = ${id}`.execute(work.tx)
  return rows[0] && toCapture(rows[0])
}

/** The request of a locked payment that has not ended. */
export async function captureUnderWay(work: Work, paymentId: PaymentId): Promise<CaptureRequest | undefined> {
  const { rows } = await sql<CaptureRow>`
    select ${CAPTURE} from payments.capture_requests r join payments.payments p on p.id = r.payment_id
    where r.payment_id = ${paymentId} and r.status = 'pending'`.execute(work.tx)
  return rows[0] && toCapture(rows[0])
}

/** Leases requests that nobody is carrying out: half a minute at first, up to an hour when they fail again and again. */
export async function claimDueCaptures(db: Reader, now: Date): Promise<CaptureRequest[]> {
  const { rows } = await sql<CaptureRow>`
    with due as (
      select id from payments.capture_requests where lease_until <= ${now}
      order by lease_until limit ${BATCH} for update skip locked
    )
    update payments.capture_requests r set tries = r.tries + 1,
      lease_until = ${now}::timestamptz + least(interval '30 seconds' * power(2, least(r.tries, 10)), interval '1 hour')
    from due, payments.payments p where r.id = due.id and p.id = r.payment_id returning ${CAPTURE}`.execute(db)
  return rows.map(toCapture)
}

const toCapture = (row: CaptureRow): CaptureRequest => ({
  id: row.id,
  paymentId: row.payment_id,
  provider: row.provider,
  providerPaymentId: row.provider_payment_id,
  amount: { amountMinor: row.amount_minor, currency: row.currency },
  requestedBy: row.requested_by,
  status: row.status,
  createdAt: row.created_at,
  endedAt: row.ended_at,
})
