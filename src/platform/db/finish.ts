import { type RawBuilder, sql } from 'kysely'
import type { DomainEvent } from '#kernel/event.ts'
import type { Encryption, Place } from '#platform/security/encryption.ts'
import { actorIdOf } from './system.ts'
import type { AuditEntry, Work } from './work.ts'

/** How an actor's IP address is sealed: for the request's row of the audit log. */
export type SealAddress = Encryption['seal']

/** A committed answer as it is kept: status, location and the sealed bytes of the body. */
export type ReceiptRow = {
  readonly key: Buffer
  readonly requestHash: Buffer
  readonly status: number
  readonly location: string | null
  readonly sealedBody: Buffer
}

/** Stores what a command leaves behind beside its own change — events, audit rows, receipt — in one statement. */
export async function finish(
  work: Work,
  events: readonly DomainEvent[],
  audit: readonly AuditEntry[],
  receipt: ReceiptRow | undefined,
  seal: SealAddress,
): Promise<void> {
  const parts: RawBuilder<unknown>[] = []
  if (events.length > 0) parts.push(insertEvents(work, events))
  if (audit.length > 0) parts.push(insertAudit(work, audit, seal))
  if (receipt) parts.push(insertReceipt(work, receipt))
  if (parts.length === 0) return
  const named = parts.map((part, index) => sql`${sql.raw(`p${index}`)} as (${part})`)
  await sql`with ${sql.join(named)} select 1`.execute(work.tx)
}

const insertEvents = (work: Work, events: readonly DomainEvent[]) => sql`
  insert into platform.events (type, subject, data, request_id, occurred_at)
  select type, subject, data, ${work.requestId}::text, ${work.now}::timestamptz
  from jsonb_to_recordset(${JSON.stringify(events)}::jsonb) as e (type text, subject text, data jsonb)`

/** Adds audit rows where `onlyIf` holds. */
export const insertAudit = (
  { actor, now, requestId }: Pick<Work, 'actor' | 'now' | 'requestId'>,
  entries: readonly AuditEntry[],
  seal: SealAddress,
  onlyIf: RawBuilder<unknown> = sql`true`,
) => sql`
  insert into platform.audit_log
    (occurred_at, actor_kind, actor_id, address, request_id, action, subject, before, after)
  select ${now}::timestamptz, ${actor.kind}::text, ${actorIdOf(actor)}::text,
    ${actor.address && seal(actor.address, auditAddress(requestId))}::bytea, ${requestId}::text, action, subject, before, after
  from jsonb_to_recordset(${JSON.stringify(entries)}::jsonb) as a (action text, subject text, before jsonb, after jsonb)
  where ${onlyIf}`

/** What the address in an audit row is bound to: its request, as the row's own id is not known before it is there. */
export const auditAddress = (requestId: string): Place => ({
  table: 'platform.audit_log',
  column: 'address',
  row: requestId,
})

const insertReceipt = (work: Work, row: ReceiptRow) => sql`
  insert into platform.receipts (key, request_hash, status, location, sealed_body, created_at)
  values (${row.key}, ${row.requestHash}, ${row.status}, ${row.location}, ${row.sealedBody}, ${work.now})`
