import { sql } from 'kysely'
import type { AttemptId, PaymentId, UserId } from '#kernel/ids.ts'
import type { Reader, Single, Work } from '#platform/db/work.ts'
import type { NewAttempt, PaymentForAttempt } from '../application/attempt-payment.ts'
import type { DuePayment } from '../application/heal-payments.ts'
import type { Attempt, AttemptStatus } from '../domain/attempt.ts'
import type { Payment } from '../domain/payment.ts'
import { PAYMENT, type PaymentRow, toPayment } from './payment-store.ts'

type AttemptRow = {
  id: AttemptId
  payment_id: PaymentId
  status: AttemptStatus
  redirect_url: string | null
  decline_code: string | null
  decline_message: string | null
  decline_retryable: boolean | null
  lease_until: Date | null
  asked: number
  created_at: Date
  ended_at: Date | null
}

const ATTEMPT = sql.raw(`a.id, a.payment_id, a.status, a.redirect_url, a.decline_code, a.decline_message,
  a.decline_retryable, a.lease_until, a.asked, a.created_at, a.ended_at`)

/** An attempt extends what it pays to this long after its start, but never past the cap after the payment was opened. */
const EXTENDS = '15 minutes'
const CAP = '60 minutes'
const BATCH = 50

/** The live attempts of locked payments, and those named. Read after the lock: what others wrote meanwhile is seen. */
export async function attemptsOf(
  work: Work,
  payments: readonly PaymentId[],
  named: readonly AttemptId[],
): Promise<Attempt[]> {
  const { rows } = await sql<AttemptRow>`
    select ${ATTEMPT} from payments.attempts a
    where a.payment_id = any(${payments}::text[]) and (a.lease_until is not null or a.id = any(${named}::text[]))`.execute(
    work.tx,
  )
  return rows.map(toAttempt)
}

type ForAttemptRow = PaymentRow & {
  token_version: number
  buyer_user_id: UserId | null
  live: AttemptStatus | null
  attempt: (AttemptRow & { provider: string }) | null
  request_hash: Buffer
  sealed_answer: Buffer | null
}

/** What an attempt's request needs to know: the payment with its proof, its live attempt, and the one of this key. */
export async function readForAttempt(
  db: Reader,
  id: PaymentId,
  keyHash: Buffer,
): Promise<PaymentForAttempt | undefined> {
  const { rows } = await sql<ForAttemptRow>`
    select ${PAYMENT}, p.token_version, p.buyer_user_id, a.request_hash, a.sealed_answer,
      (select l.status from payments.attempts l where l.payment_id = p.id and l.lease_until is not null) as live,
      case when a.id is not null then (select to_jsonb(m) from (select ${ATTEMPT}, a.provider) m) end as attempt
    from payments.payments p left join payments.attempts a on a.payment_id = p.id and a.key_hash = ${keyHash}
    where p.id = ${id}`.execute(db)
  const row = rows[0]
  if (!row) return undefined
  const { attempt, request_hash: requestHash, sealed_answer: sealedAnswer } = row
  return {
    payment: toPayment(row),
    proof: { orderId: row.order_id, tokenVersion: row.token_version, buyerUserId: row.buyer_user_id },
    live: row.live,
    mine: attempt && { ...toAttempt(attempt), requestHash, sealedAnswer, provider: attempt.provider },
  }
}

/** A payment and the state of its live attempt. */
export async function readForReceipt(
  db: Reader,
  id: PaymentId,
): Promise<{ payment: Payment; live: AttemptStatus | null } | undefined> {
  const { rows } = await sql<PaymentRow & { live: AttemptStatus | null }>`
    select ${PAYMENT},
      (select l.status from payments.attempts l where l.payment_id = p.id and l.lease_until is not null) as live
    from payments.payments p where p.id = ${id}`.execute(db)
  return rows[0] && { payment: toPayment(rows[0]), live: rows[0].live }
}

/**
 * Takes an open payment for one attempt and extends it; undefined when it is not open, another attempt is live, or it has
 * an object at another provider.
 * One statement: the update locks the payment, the unique indexes let one attempt per key in, and one live one.
 */
export async function openAttempt(
  { db, now }: Single,
  { id, paymentId, keyHash, requestHash, provider, leaseUntil }: NewAttempt,
): Promise<{ providerPaymentId: string | null; objectsLeft: number } | undefined> {
  const { rows } = await sql<{ providerPaymentId: string | null; objectsLeft: number }>`
    with payable as (
      update payments.payments set provider = ${provider},
        payable_until = greatest(payable_until, least(${now}::timestamptz + ${sql.lit(EXTENDS)}::interval, opened_at + ${sql.lit(CAP)}::interval))
      where id = ${paymentId} and status = 'open' and closing_reason is null and payable_until > ${now}
        and (provider_payment_id is null or provider = ${provider})
      returning id, provider_payment_id, objects_left
    ), opened as (
      insert into payments.attempts (id, payment_id, key_hash, request_hash, provider, status, lease_until, created_at)
      select ${id}, id, ${keyHash}, ${requestHash}, ${provider}, 'created', ${leaseUntil}, ${now} from payable
      on conflict do nothing returning payment_id
    )
    select p.provider_payment_id as "providerPaymentId", p.objects_left as "objectsLeft" from opened join payable p on p.id = opened.payment_id`.execute(
    db,
  )
  return rows[0]
}

/** Leases attempts that are past their lease for half a minute, so that one process at a time asks about each. */
export async function claimDueAttempts(db: Reader, now: Date): Promise<(DuePayment & { attemptId: AttemptId })[]> {
  const { rows } = await sql<DuePayment & { attemptId: AttemptId }>`
    with due as (
      select id from payments.attempts where lease_until <= ${now}
      order by lease_until limit ${BATCH} for update skip locked
    )
    update payments.attempts a set lease_until = ${now}::timestamptz + interval '30 seconds', asked = a.asked + 1
    from due, payments.payments p where a.id = due.id and p.id = a.payment_id
    returning a.id as "attemptId", p.id, a.provider, p.provider_payment_id as "providerPaymentId"`.execute(db)
  return rows
}

/** Times may come as text: an attempt is sometimes read as JSON. */
const toAttempt = (row: AttemptRow): Attempt => ({
  id: row.id,
  paymentId: row.payment_id,
  status: row.status,
  redirectUrl: row.redirect_url,
  clientSecret: null,
  decline:
    row.decline_code === null
      ? null
      : { code: row.decline_code, message: row.decline_message ?? '', retryable: row.decline_retryable ?? false },
  leaseUntil: row.lease_until && new Date(row.lease_until),
  asked: row.asked,
  createdAt: new Date(row.created_at),
  endedAt: row.ended_at && new Date(row.ended_at),
})
