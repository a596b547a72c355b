import { type RawBuilder, sql } from 'kysely'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Changes } from '../application/changes.ts'
import type { DuePayment } from '../application/heal-payments.ts'
import type { PayableOrder } from '../application/open-payment.ts'
import { entryOfCapture, entryOfRefund } from '../domain/ledger.ts'
import type { Capture, ClosingReason, Payment, PaymentStatus } from '../domain/payment.ts'

export type PaymentRow = {
  id: PaymentId
  order_id: OrderId
  status: PaymentStatus
  amount_minor: number
  currency: string
  captured_minor: number
  refunded_minor: number
  refunding_minor: number
  provider: string | null
  provider_payment_id: string | null
  review_reason: string | null
  payable_until: Date
  opened_at: Date
  closing_reason: ClosingReason | null
  closing_since: Date | null
  close_at: Date | null
}
/** The columns of a `PaymentRow`, of `payments.payments p`. */
export const PAYMENT =
  sql.raw(`p.id, p.order_id, p.status, p.amount_minor, p.currency, p.captured_minor, p.refunded_minor,
  p.refunding_minor, p.provider, p.provider_payment_id, p.review_reason, p.payable_until, p.opened_at, p.closing_reason,
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

/** Saves what a command changed of payments that it has locked, in one statement. */
export async function saveChanges(work: Work, changes: Changes): Promise<void> {
  const { payments, attempts = [], captures = [], newRefunds = [], refunds = [], sent = [] } = changes
  const entries = [...captures.map(entryOfCapture), ...sent.map(entryOfRefund)]
  const parts: RawBuilder<unknown>[] = []
  if (payments.length > 0) parts.push(updatePayments(payments))
  if (attempts.length > 0) parts.push(updateAttempts(attempts))
  if (captures.length > 0) parts.push(insertCaptures(captures, work.now))
  if (newRefunds.length > 0) parts.push(insertRefunds(newRefunds))
  if (refunds.length > 0) parts.push(updateRefunds(refunds))
  if (entries.length > 0) parts.push(insertEntries(entries, work.now))
  if (parts.length === 0) return
  const named = parts.map((part, index) => sql`${sql.raw(`c${index}`)} as (${part})`)
  await sql`with ${sql.join(named)} select 1`.execute(work.tx)
}

/** Beside a list of records, which the planner takes for a hundred rows, the ids lead it to the index. */
const idsOf = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id)

const updatePayments = (payments: readonly Payment[]) => sql`
  update payments.payments p set status = c.status, captured_minor = c."capturedMinor",
    refunded_minor = c."refundedMinor", refunding_minor = c."refundingMinor", provider = c.provider,
    provider_payment_id = c."providerPaymentId", review_reason = c."reviewReason", closing_reason = c."closingReason",
    closing_since = c."closingSince", close_at = c."closeAt"
  from jsonb_to_recordset(${JSON.stringify(payments)}::jsonb) as c (id text, status text, "capturedMinor" bigint,
    "refundedMinor" bigint, "refundingMinor" bigint, provider text, "providerPaymentId" text, "reviewReason" text,
    "closingReason" text, "closingSince" timestamptz, "closeAt" timestamptz)
  where p.id = c.id and p.id = any(${idsOf(payments)}::text[])`

const updateAttempts = (attempts: NonNullable<Changes['attempts']>) => sql`
  update payments.attempts a set status = c.status, redirect_url = c."redirectUrl", decline_code = c.decline ->> 'code',
    decline_message = c.decline ->> 'message', decline_retryable = (c.decline -> 'retryable')::boolean,
    lease_until = c."leaseUntil", ended_at = c."endedAt",
    sealed_answer = coalesce(a.sealed_answer, decode(c.sealed, 'base64'))
  from jsonb_to_recordset(${jsonWithSealed(attempts)}::jsonb) as c (id text, status text, "redirectUrl" text,
    decline jsonb, "leaseUntil" timestamptz, "endedAt" timestamptz, sealed text)
  where a.id = c.id and a.id = any(${idsOf(attempts)}::text[])`

const insertCaptures = (captures: NonNullable<Changes['captures']>, now: Date) => sql`
  insert into payments.captures (payment_id, provider, provider_payment_id, amount_minor, currency, surplus, captured_at)
  select "paymentId", provider, "providerPaymentId", (amount -> 'amountMinor')::bigint, amount ->> 'currency', surplus, ${now}
  from jsonb_to_recordset(${JSON.stringify(captures)}::jsonb)
    as c ("paymentId" text, provider text, "providerPaymentId" text, amount jsonb, surplus boolean)`

const insertRefunds = (refunds: NonNullable<Changes['newRefunds']>) => sql`
  insert into payments.refunds (id, payment_id, provider, provider_payment_id, surplus, amount_minor, currency, reason,
    requested_by, status, key_hash, request_hash, lease_until, created_at)
  select id, "paymentId", provider, "providerPaymentId", surplus, (amount -> 'amountMinor')::bigint,
    amount ->> 'currency', reason, "requestedBy", status, decode("keyHash", 'base64'), decode("requestHash", 'base64'),
    "leaseUntil", "createdAt"
  from jsonb_to_recordset(${JSON.stringify(
    refunds.map(({ key, ...refund }) => ({
      ...refund,
      keyHash: key?.keyHash.toString('base64'),
      requestHash: key?.requestHash.toString('base64'),
    })),
  )}::jsonb) as c (id text, "paymentId" text, provider text, "providerPaymentId" text, surplus boolean, amount jsonb,
    reason text, "requestedBy" text, status text, "keyHash" text, "requestHash" text, "leaseUntil" timestamptz,
    "createdAt" timestamptz)`

const updateRefunds = (refunds: NonNullable<Changes['refunds']>) => sql`
  update payments.refunds r set status = c.status, provider_refund_id = c."providerRefundId", ended_at = c."endedAt",
    lease_until = case when c.status = 'pending' then r.lease_until end,
    last_error = c."lastError",
    sealed_answer = coalesce(r.sealed_answer, decode(c.sealed, 'base64'))
  from jsonb_to_recordset(${jsonWithSealed(refunds)}::jsonb) as c (id text, status text, "providerRefundId" text,
    "endedAt" timestamptz, "lastError" text, sealed text)
  where r.id = c.id and r.id = any(${idsOf(refunds)}::text[])`

const insertEntries = (entries: readonly object[], now: Date) => sql`
  insert into payments.ledger (payment_id, refund_id, kind, debit, credit, amount_minor, currency, booked_at)
  select "paymentId", "refundId", kind, debit, credit, (amount -> 'amountMinor')::bigint, amount ->> 'currency', ${now}
  from jsonb_to_recordset(${JSON.stringify(entries)}::jsonb)
    as c ("paymentId" text, "refundId" text, kind text, debit text, credit text, amount jsonb)`

const jsonWithSealed = (rows: readonly { readonly sealedAnswer?: Buffer }[]): string =>
  JSON.stringify(rows.map(({ sealedAnswer, ...row }) => ({ ...row, sealed: sealedAnswer?.toString('base64') })))

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
  capturedMinor: row.captured_minor,
  refundedMinor: row.refunded_minor,
  refundingMinor: row.refunding_minor,
  provider: row.provider,
  providerPaymentId: row.provider_payment_id,
  reviewReason: row.review_reason,
  payableUntil: row.payable_until,
  openedAt: row.opened_at,
  closingReason: row.closing_reason,
  closingSince: row.closing_since,
  closeAt: row.close_at,
})
