import { type RawBuilder, sql } from 'kysely'
import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { EndSession } from '../application/refresh-session.ts'
import type { Ended, RevokedFor } from '../domain/session.ts'

type Tx = Work['tx']

/**
 * Ends a user's live sessions, but for this one, with their refresh tokens. Whoever changes the account does that before:
 * a login that is under way then finds it changed.
 */
export const revokeOtherSessions = (
  tx: Tx,
  userId: UserId,
  exceptSessionId: SessionId | null,
  reason: RevokedFor,
  now: Date,
): Promise<Ended[]> =>
  endWhere(tx, now, sql`${reason}::text`, sql`user_id = ${userId} and id is distinct from ${exceptSessionId}::text`)

/** Ends one live session. */
export const endSession: EndSession = async ({ tx, now }, id, reason) =>
  (await endWhere(tx, now, sql`${reason}::text`, sql`id = ${id}`))[0]

/** Ends this session, and that of this refresh token, used or not. */
export async function logOutSessions({ tx, now }: Work, sessionId: SessionId | null, refreshHash: Buffer | null) {
  const presented = sql`select session_id from users.refresh_tokens where hash = ${refreshHash}`
  await endWhere(tx, now, sql`'logout'`, sql`(id = ${sessionId} or id = (${presented}))`)
}

/** Ends a user's live sessions, or one of them: the one that asks logs itself out. */
export const endOwnSessions = ({ tx, now, actor }: Work, userId: UserId, id?: SessionId): Promise<Ended[]> =>
  endWhere(
    tx,
    now,
    sql`case when s.id = ${actor.sessionId ?? null}::text then 'logout' else 'ended-elsewhere' end`,
    sql`user_id = ${userId} and expires_at > ${now} and (id = ${id ?? null}::text or ${id ?? null}::text is null)`,
  )

/** A second statement takes the refresh tokens: it sees the one that a refresh made while this waited for its session. */
async function endWhere(tx: Tx, now: Date, reason: RawBuilder<unknown>, which: RawBuilder<unknown>): Promise<Ended[]> {
  const { rows } = await sql<Ended>`
    with ending as (
      select id from users.sessions where revoked_at is null and ${which} order by id for update)
    update users.sessions s set revoked_at = ${now}, revoked_for = ${reason}
    from ending where s.id = ending.id
    returning s.id, s.user_id as "userId"`.execute(tx)
  const ids = rows.map(({ id }) => id)
  if (ids.length > 0)
    await sql`
      update users.refresh_tokens set used_at = ${now}
      where session_id = any(${ids}::text[]) and used_at is null`.execute(tx)
  return rows
}
