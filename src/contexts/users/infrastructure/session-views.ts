import { sql } from 'kysely'
import type { SessionId, UserId } from '#kernel/ids.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { Caller } from '../domain/session.ts'
import { type SealedCaller, sessionSealsOf } from './seals.ts'

/** A session as its holder sees it. */
export type SessionView = Caller & {
  readonly id: SessionId
  readonly createdAt: string
  readonly lastUsedAt: string
}

type Row = SealedCaller & { readonly id: SessionId; readonly created_at: Date; readonly last_used_at: Date }
type Paging = { readonly now: Date; readonly limit: number; readonly afterId: string | undefined }

/** SQL that reads sessions. */
export function sessionViews(db: Reader, encryption: Encryption) {
  const { openCaller } = sessionSealsOf(encryption)
  return {
    /** A user's sessions that can still be used, the newest first. */
    listSessions: async (userId: UserId, { now, limit, afterId = '~' }: Paging): Promise<Page<SessionView>> => {
      const { rows } = await sql<Row>`
        select s.id, s.created_at, coalesce(s.last_used_at, s.created_at) as last_used_at, s.address, s.device
        from users.sessions s
        where s.user_id = ${userId} and s.id < ${afterId} and s.revoked_at is null and s.expires_at > ${now}
          and exists (select from users.refresh_tokens t
            where t.session_id = s.id and t.used_at is null and t.expires_at > ${now})
        order by s.id desc limit ${limit + 1}`.execute(db)
      const toView = ({ id, created_at, last_used_at, address, device }: Row): SessionView => ({
        id,
        createdAt: created_at.toISOString(),
        lastUsedAt: last_used_at.toISOString(),
        ...openCaller({ address, device }, id),
      })
      return pageOf(rows, limit, toView, ({ id }) => [id])
    },
  }
}

export type SessionViews = ReturnType<typeof sessionViews>
