import { type RawBuilder, sql } from 'kysely'
import type { Work } from '#platform/db/work.ts'
import type { Changes } from '../application/changes.ts'
import type { Payment } from '../domain/payment.ts'

/** Saves what a command changed of payments that it has locked, in one statement. */
export async function saveChanges(work: Work, changes: Changes): Promise<void> {
  const { payments, attempts = [], captures = [], newRefunds = [], refunds = [], entries = [] } = changes
  const { newCaptureRequests = [], captureRequests = [], disputes = [], held = [] } = changes
  const parts: RawBuilder<unknown>[] = []
  if (payments.length > 0) parts.push(updatePayments(payments))
  if (attempts.length > 0) parts.push(updateAttempts(attempts))
  if (captures.length > 0) parts.push(insertCaptures(captures, work.now))
  if (newRefunds.length > 0) parts.push(insertRefunds(newRefunds))
  if (refunds.length > 0) parts.push(updateRefunds(refunds))
  if (newCaptureRequests.length > 0) parts.push(insertCaptureRequests(newCaptureRequests))
  if (captureRequests.length > 0) parts.push(updateCaptureRequests(captureRequests))
  if (disputes.length > 0) parts.push(upsertDisputes(disputes))
  if (held.length > 0) parts.push(insertHeld(held, work.now))
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
    closing_since = c."closingSince", close_at = c."closeAt", capture_minor = c."captureMinor",
    objects_left = c."objectsLeft", authorised_until = c."authorisedUntil"
  from jsonb_to_recordset(${JSON.stringify(payments)}::jsonb) as c (id text, status text, "capturedMinor" bigint,
    "refundedMinor" bigint, "refundingMinor" bigint, provider text, "providerPaymentId" text, "reviewReason" text,
    "closingReason" text, "closingSince" timestamptz, "closeAt" timestamptz, "captureMinor" bigint,
    "objectsLeft" integer, "authorisedUntil" timestamptz)
  where p.id = c.id and p.id = any(${idsOf(payments)}::text[])`

/** Without the client secrets, which are for the buyer's device alone. */
const updateAttempts = (attempts: NonNullable<Changes['attempts']>) => sql`
  update payments.attempts a set status = c.status, redirect_url = c."redirectUrl", decline_code = c.decline ->> 'code',
    decline_message = c.decline ->> 'message', decline_retryable = (c.decline -> 'retryable')::boolean,
    lease_until = c."leaseUntil", ended_at = c."endedAt",
    sealed_answer = coalesce(a.sealed_answer, decode(c.sealed, 'base64'))
  from jsonb_to_recordset(${jsonWithSealed(attempts.map(({ clientSecret: _, ...attempt }) => attempt))}::jsonb) as c (id text, status text, "redirectUrl" text,
    decline jsonb, "leaseUntil" timestamptz, "endedAt" timestamptz, sealed text)
  where a.id = c.id and a.id = any(${idsOf(attempts)}::text[])`

const insertCaptures = (captures: NonNullable<Changes['captures']>, now: Date) => sql`
  insert into payments.captures (payment_id, provider, provider_payment_id, amount_minor, currency, surplus, captured_at)
  select "paymentId", provider, "providerPaymentId", (amount -> 'amountMinor')::bigint, amount ->> 'currency', surplus, ${now}
  from jsonb_to_recordset(${JSON.stringify(captures)}::jsonb)
    as c ("paymentId" text, provider text, "providerPaymentId" text, amount jsonb, surplus boolean)`

const insertRefunds = (refunds: NonNullable<Changes['newRefunds']>) => sql`
  insert into payments.refunds (id, payment_id, provider, provider_payment_id, provider_refund_id, surplus, amount_minor,
    currency, reason, requested_by, status, key_hash, request_hash, lease_until, created_at, ended_at)
  select id, "paymentId", provider, "providerPaymentId", "providerRefundId", surplus, (amount -> 'amountMinor')::bigint,
    amount ->> 'currency', reason, "requestedBy", status, decode("keyHash", 'base64'), decode("requestHash", 'base64'),
    "leaseUntil", "createdAt", "endedAt"
  from jsonb_to_recordset(${JSON.stringify(
    refunds.map(({ key, ...refund }) => ({
      ...refund,
      keyHash: key?.keyHash.toString('base64'),
      requestHash: key?.requestHash.toString('base64'),
    })),
  )}::jsonb) as c (id text, "paymentId" text, provider text, "providerPaymentId" text, "providerRefundId" text,
    surplus boolean, amount jsonb, reason text, "requestedBy" text, status text, "keyHash" text, "requestHash" text,
    "leaseUntil" timestamptz, "createdAt" timestamptz, "endedAt" timestamptz)`

const updateRefunds = (refunds: NonNullable<Changes['refunds']>) => sql`
  update payments.refunds r set status = c.status, provider_refund_id = c."providerRefundId", ended_at = c."endedAt",
    lease_until = case when c.status = 'pending' then r.lease_until end,
    last_error = c."lastError",
    sealed_answer = coalesce(r.sealed_answer, decode(c.sealed, 'base64'))
  from jsonb_to_recordset(${jsonWithSealed(refunds)}::jsonb) as c (id text, status text, "providerRefundId" text,
    "endedAt" timestamptz, "lastError" text, sealed text)
  where r.id = c.id and r.id = any(${idsOf(refunds)}::text[])`

const insertCaptureRequests = (requests: NonNullable<Changes['newCaptureRequests']>) => sql`
  insert into payments.capture_requests (id, payment_id, amount_minor, requested_by, status, key_hash, request_hash,
    lease_until, created_at)
  select id, "paymentId", (amount -> 'amountMinor')::bigint, "requestedBy", status, decode("keyHash", 'base64'),
    decode("requestHash", 'base64'), "leaseUntil", "createdAt"
  from jsonb_to_recordset(${JSON.stringify(
    requests.map(({ keyHash, requestHash, ...request }) => ({
      ...request,
      keyHash: keyHash.toString('base64'),
      requestHash: requestHash.toString('base64'),
    })),
  )}::jsonb) as c (id text, "paymentId" text, amount jsonb, "requestedBy" text, status text, "keyHash" text,
    "requestHash" text, "leaseUntil" timestamptz, "createdAt" timestamptz)`

const updateCaptureRequests = (requests: NonNullable<Changes['captureRequests']>) => sql`
  update payments.capture_requests r set status = c.status, ended_at = c."endedAt", last_error = c."lastError",
    lease_until = case when c.status = 'pending' then r.lease_until end,
    sealed_answer = coalesce(r.sealed_answer, decode(c.sealed, 'base64'))
  from jsonb_to_recordset(${jsonWithSealed(requests)}::jsonb)
    as c (id text, status text, "endedAt" timestamptz, "lastError" text, sealed text)
  where r.id = c.id and r.id = any(${idsOf(requests)}::text[])`

const upsertDisputes = (disputes: NonNullable<Changes['disputes']>) => sql`
  insert into payments.disputes (payment_id, provider, provider_payment_id, provider_dispute_id, amount_minor, currency,
    reason, status, opened_at, ended_at)
  select "paymentId", provider, "providerPaymentId", "providerDisputeId", (amount -> 'amountMinor')::bigint,
    amount ->> 'currency', reason, status, "openedAt", "endedAt"
  from jsonb_to_recordset(${JSON.stringify(disputes)}::jsonb) as c ("paymentId" text, provider text,
    "providerPaymentId" text, "providerDisputeId" text, amount jsonb, reason text, status text, "openedAt" timestamptz,
    "endedAt" timestamptz)
  on conflict (provider, provider_dispute_id) do update set status = excluded.status, ended_at = excluded.ended_at`

const insertHeld = (held: NonNullable<Changes['held']>, now: Date) => sql`
  insert into payments.reviews (payment_id, provider, provider_payment_id, reason, taken_minor, currency, held_at)
  select "paymentId", provider, "providerPaymentId", reason, (taken -> 'amountMinor')::bigint, taken ->> 'currency', ${now}
  from jsonb_to_recordset(${JSON.stringify(held)}::jsonb)
    as c ("paymentId" text, provider text, "providerPaymentId" text, reason text, taken jsonb)
  on conflict (payment_id, provider, provider_payment_id) do update set taken_minor = excluded.taken_minor
    where reviews.decision is null and reviews.taken_minor < excluded.taken_minor`

const insertEntries = (entries: NonNullable<Changes['entries']>, now: Date) => sql`
  insert into payments.ledger
    (payment_id, refund_id, provider_dispute_id, kind, debit, credit, amount_minor, currency, booked_at)
  select "paymentId", "refundId", "providerDisputeId", kind, debit, credit, (amount -> 'amountMinor')::bigint,
    amount ->> 'currency', ${now}
  from jsonb_to_recordset(${JSON.stringify(entries)}::jsonb) as c ("paymentId" text, "refundId" text,
    "providerDisputeId" text, kind text, debit text, credit text, amount jsonb)`

const jsonWithSealed = (rows: readonly { readonly sealedAnswer?: Buffer }[]): string =>
  JSON.stringify(rows.map(({ sealedAnswer, ...row }) => ({ ...row, sealed: sealedAnswer?.toString('base64') })))
