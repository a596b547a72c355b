import { sql } from 'kysely'
import { type Page, pageOf } from '#kernel/page.ts'
import { auditAddress } from '#platform/db/finish.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'

/** What the audit log is narrowed to. */
export type AuditFilter = {
  readonly limit: number
  /** The row before which the page begins. */
  readonly beforeId: number | undefined
  readonly actorId?: string | undefined
  readonly subject?: string | undefined
  /** Whole, such as `users.log-in`, or a context with its dot: `users.` */
  readonly action?: string | undefined
  readonly from?: Date | undefined
  readonly before?: Date | undefined
}

/** One thing that somebody with rights did, or that concerned somebody's access. */
export type AuditView = {
  readonly id: number
  readonly at: string
  readonly actor: { readonly kind: string; readonly id: string | null }
  readonly address: string | null
  readonly action: string
  readonly subject: string
  readonly requestId: string
  readonly before: object | null
  readonly after: object | null
}

type Row = Omit<AuditView, 'at' | 'actor' | 'address'> & {
  readonly at: Date
  readonly actorKind: string
  readonly actorId: string | null
  readonly address: Buffer | null
}

/** One page of the audit log, the newest first. */
export async function listAudit(db: Reader, encryption: Encryption, filter: AuditFilter): Promise<Page<AuditView>> {
  const { actorId = null, subject = null, action = null, from = null, before = null } = filter
  const { rows } = await sql<Row>`
    select id, occurred_at as at, actor_kind as "actorKind", actor_id as "actorId", address, action, subject,
      request_id as "requestId", before, after
    from platform.audit_log
    where (${filter.beforeId ?? null}::bigint is null or id < ${filter.beforeId ?? null}::bigint)
      and (${actorId}::text is null or actor_id = ${actorId}::text)
      and (${subject}::text is null or subject = ${subject}::text)
      and (${action}::text is null or action = ${action}::text
        or (right(${action}::text, 1) = '.' and starts_with(action, ${action}::text)))
      and (${from}::timestamptz is null or occurred_at >= ${from}::timestamptz)
      and (${before}::timestamptz is null or occurred_at < ${before}::timestamptz)
    order by id desc limit ${filter.limit + 1}`.execute(db)
  const toView = ({ at, actorKind, actorId, address, ...row }: Row): AuditView => ({
    ...row,
    at: at.toISOString(),
    actor: { kind: actorKind, id: actorId },
    address: address && encryption.open(address, auditAddress(row.requestId)),
  })
  return pageOf(rows, filter.limit, toView, (row) => [row.id])
}
