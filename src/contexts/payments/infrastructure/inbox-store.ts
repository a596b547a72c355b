import { sql } from 'kysely'
import type { Reader, Single, Work } from '#platform/db/work.ts'
import type { Encryption, Place } from '#platform/security/encryption.ts'
import type { WebhookEvent } from '../application/payment-provider.ts'
import type { Replayed, WebhookStatus } from '../application/replay-webhooks.ts'
import type { InboxEvent } from '../application/work-inbox.ts'

const BATCH = 50
const FORGET_AT_ONCE = 10_000
/** Providers send an event again for days, never for months. */
const KEPT_DAYS = 90
const LEASE = '30 seconds'
/** The pause after each failed try; after the last the event is parked. */
const PAUSES_MS = [1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000]

/** Where the body of this event is sealed: bound to the event's id, as the row has none before it is there. */
export const bodyPlace = (eventId: string): Place => ({ table: 'payments.inbox', column: 'sealed_body', row: eventId })

/**
 * Stores a webhook as it came, its body sealed, once per provider and event id; one that we do not act on is done at
 * once. One statement: storms of webhooks are storms of these.
 */
export const storeWebhook =
  ({ seal }: Encryption) =>
  async ({ db, now }: Single, provider: string, event: WebhookEvent, body: Buffer): Promise<void> => {
    const { eventId, type, providerPaymentId, claimsCapture } = event
    const [dueAt, doneAt] = providerPaymentId === null ? [null, now] : [now, null]
    const sealed = seal(body.toString(), bodyPlace(eventId))
    await sql`
      insert into payments.inbox
        (provider, event_id, type, provider_payment_id, claims_capture, sealed_body, received_at, due_at, done_at)
      values (${provider}, ${eventId}, ${type}, ${providerPaymentId}, ${claimsCapture}, ${sealed}, ${now}, ${dueAt}, ${doneAt})
      on conflict do nothing`.execute(db)
  }

/**
 * Leases the next events. One that claims a capture which the books already have, of the same provider payment, is done
 * at once without reading the object again: the payment can then only have moved on to something that has events of its
 * own (a refund, a dispute), and the capture, once per provider payment, would change nothing. Its claim is believed in
 * no other case, so a forged or wrong one gains nothing.
 */
export async function claimInbox(db: Reader, now: Date): Promise<{ events: InboxEvent[]; claimed: number }> {
  const { rows } = await sql<InboxEvent & { isDone: boolean }>`
    with due as (
      select i.id, i.claims_capture and coalesce((
          select p.status = 'captured'
            and not exists (select from payments.attempts a where a.payment_id = p.id and a.lease_until is not null)
          from payments.payments p where p.provider = i.provider and p.provider_payment_id = i.provider_payment_id
        ), false) as known
      from payments.inbox i where i.due_at <= ${now}
      order by i.due_at, i.id limit ${BATCH} for update skip locked
    )
    update payments.inbox i set tries = i.tries + 1,
      due_at = case when due.known then null else ${now}::timestamptz + ${sql.lit(LEASE)}::interval end,
      done_at = case when due.known then ${now}::timestamptz end
    from due where i.id = due.id
    returning i.id, i.provider, i.provider_payment_id as "providerPaymentId", i.tries, due.known as "isDone"`.execute(
    db,
  )
  return { events: rows.filter(({ isDone }) => !isDone), claimed: rows.length }
}

/** Marks events done, in the transaction that took note of what they brought. */
export async function finishEvents(work: Work, ids: readonly number[]): Promise<void> {
  await sql`
    update payments.inbox set due_at = null, done_at = ${work.now}, last_error = null
    where id = any(${ids}::bigint[])`.execute(work.tx)
}

/** Gives a failed event another try later, or parks it after the last one. */
export async function postponeEvent(db: Reader, now: Date, { id, tries }: InboxEvent, error: unknown): Promise<void> {
  const pauseMs = PAUSES_MS[tries - 1]
  const dueAt = pauseMs === undefined ? null : new Date(now.getTime() + pauseMs)
  const parkedAt = pauseMs === undefined ? now : null
  const reason = (error instanceof Error ? error.message : String(error)).slice(0, 500)
  await sql`
    update payments.inbox set due_at = ${dueAt}, parked_at = ${parkedAt}, last_error = ${reason}
    where id = ${id} and done_at is null`.execute(db)
}

/** How far a webhook `i` of the inbox is. */
export const STATUS = sql<WebhookStatus>`
  case when i.due_at is not null then 'due' when i.parked_at is not null then 'parked' else 'done' end`

/**
 * Puts a webhook back into the queue unless it waits there or is about nothing that we act on, and says what it was; its
 * object is read again whatever it claims. Undefined when there is no such webhook.
 */
export async function requeueWebhook(work: Work, id: number): Promise<Replayed | undefined> {
  const { rows } = await sql<Replayed>`
    with found as (
      select i.id, ${STATUS} as status, i.provider_payment_id is not null as "isActedOn"
      from payments.inbox i where i.id = ${id} for update
    ), requeued as (
      update payments.inbox i set ${requeued(work.now)}
      from found f where i.id = f.id and f.status <> 'due' and f."isActedOn"
    )
    select status, "isActedOn" from found`.execute(work.tx)
  return rows[0]
}

/** Puts all parked webhooks back into the queue; how many those were. */
export async function requeueParked(work: Work): Promise<number> {
  const { rows } = await sql<{ id: number }>`
    update payments.inbox i set ${requeued(work.now)} where i.parked_at is not null returning i.id`.execute(work.tx)
  return rows.length
}

const requeued = (now: Date) =>
  sql`due_at = ${now}::timestamptz, tries = 0, claims_capture = false, done_at = null, parked_at = null`

/** Removes webhooks that were worked on and came more than 90 days ago; parked ones stay until somebody has looked. */
export async function forgetOldWebhooks(db: Reader, now: Date): Promise<void> {
  const before = new Date(now.getTime() - KEPT_DAYS * 24 * 60 * 60_000)
  await sql`
    delete from payments.inbox where id in (
      select id from payments.inbox where done_at is not null and received_at < ${before} limit ${FORGET_AT_ONCE})`.execute(
    db,
  )
}
