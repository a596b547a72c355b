import { sql } from 'kysely'
import { auditAddress } from '#platform/db/finish.ts'
import type { PersonalData } from '#platform/privacy.ts'
import type { Encryption } from '#platform/security/encryption.ts'

type Row = { readonly at: Date; readonly action: string; readonly address: Buffer | null; readonly requestId: string }

/** What the audit log keeps of people: what they did, and from where. Forgotten are the addresses; staff's own stay staff's. */
export const auditPersonalData = ({ open }: Encryption): PersonalData => ({
  collect: async (db, { userId }) => {
    const { rows } = await sql<Row>`
      select occurred_at as at, action, address, request_id as "requestId" from platform.audit_log
      where actor_id = ${userId} order by id`.execute(db)
    return {
      activity: rows.map(({ at, action, address, requestId }) => ({
        at: at.toISOString(),
        action,
        address: address && open(address, auditAddress(requestId)),
      })),
    }
  },
  refuseIfNeeded: async () => {},
  forget: async ({ tx }, { userId }) => {
    await sql`
      update platform.audit_log set address = null
      where address is not null
        and (actor_id = ${userId}::text or (subject = ${userId}::text and actor_kind in ('guest', 'customer')))`.execute(
      tx,
    )
  },
})
