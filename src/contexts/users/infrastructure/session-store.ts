import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { SessionId, UserId } from '#kernel/ids.ts'
import type { AuditEntry, Reader, Single } from '#platform/db/work.ts'
import type { AccessClaims } from '#platform/security/tokens.ts'
import type { LiveSession } from '../application/authenticate.ts'
import type { Checked } from '../application/check-password.ts'
import type { RefreshToken } from '../application/log-in.ts'
import { idleUntil, type RevokedFor, type Session } from '../domain/session.ts'
import { provedParts } from './login-store.ts'
import type { UserViews, ViewRow } from './user-views.ts'

export const hashRefreshToken = (token: string): Buffer => createHash('sha256').update(token).digest()

/** 256 random bits. */
export function newRefreshToken(): RefreshToken {
  const token = randomBytes(32).toString('base64url')
  return { token, hash: hashRefreshToken(token) }
}

/** Removes the sessions and refresh tokens that have ended. */
export async function forgetEnded(db: Reader, now: Date): Promise<void> {
  await sql`delete from users.refresh_tokens where expires_at < ${now}`.execute(db)
  await sql`delete from users.sessions where expires_at < ${now}`.execute(db)
}

/** Ends a user's live sessions, but for this one. */
export async function revokeOtherSessions(
  db: Reader,
  userId: UserId,
  exceptSessionId: SessionId | null,
  reason: RevokedFor,
  now: Date,
): Promise<void> {
  await sql`
    update users.sessions set revoked_at = ${now}, revoked_for = ${reason}
    where user_id = ${userId} and revoked_at is null and id is distinct from ${exceptSessionId}::text`.execute(db)
}

/** SQL that changes sessions and refresh tokens. */
export const sessionStore = ({ toView }: Pick<UserViews, 'toView'>) => ({
  /** Opens the session with its first refresh token, if the account is as it was checked; one statement. */
  insertSession: async (
    single: Single,
    session: Session,
    checked: Checked,
    firstTokenHash: Buffer,
    audited: readonly AuditEntry[],
  ) => {
    const { id, createdAt, expiresAt } = session
    const { rows } = await sql<ViewRow>`
      with ${provedParts(single, checked)},
      strengthened as (
        update users.users set password_hash = ${checked.freshHash}
        where id = ${checked.userId} and password_hash = ${checked.passwordHash} and ${checked.freshHash}::text is not null),
      opened as (
        insert into users.sessions (id, user_id, created_at, authenticated_at, second_factor_at, last_used_at, expires_at)
        select ${id}, user_id, ${createdAt}::timestamptz, ${createdAt}::timestamptz, ${checked.factor && createdAt}::timestamptz,
          ${createdAt}::timestamptz, ${expiresAt}::timestamptz
        from proved returning id),
      token as (
        insert into users.refresh_tokens (hash, session_id, created_at, expires_at)
        select ${firstTokenHash}::bytea, id, ${createdAt}::timestamptz, ${idleUntil(createdAt)}::timestamptz from opened),
      audited as (${single.auditing(audited, sql`exists (select from opened)`)})
      select id, email, name, roles, disabled_at, created_at from person join proved on user_id = id`.execute(single.db)
    return rows[0] && toView(rows[0])
  },

  /** Uses up a live refresh token and puts its successor in its place; nothing when it is not live. One statement. */
  rotateRefreshToken: async ({ db, now }: Single, usedHash: Buffer, nextHash: Buffer) => {
    const { rows } = await sql<ViewRow & { session_id: SessionId }>`
      with used as (
        update users.refresh_tokens t set used_at = ${now}
        from users.sessions s join users.users u on u.id = s.user_id
        where t.hash = ${usedHash} and t.used_at is null and t.expires_at > ${now}
          and s.id = t.session_id and s.revoked_at is null and s.expires_at > ${now} and u.disabled_at is null
        returning t.session_id, u.id, u.email, u.name, u.roles, u.disabled_at, u.created_at),
      successor as (
        insert into users.refresh_tokens (hash, session_id, created_at, expires_at)
        select ${nextHash}::bytea, session_id, ${now}::timestamptz, ${idleUntil(now)}::timestamptz from used)
      select session_id, id, email, name, roles, disabled_at, created_at from used`.execute(db)
    const row = rows[0]
    return row && { sessionId: row.session_id, user: toView(row) }
  },

  /** Ends this session, and that of this refresh token, used or not. */
  revokeSessions: async ({ db, now }: Single, sessionId: SessionId | null, refreshHash: Buffer | null) => {
    await sql`
      update users.sessions set revoked_at = ${now}, revoked_for = 'logout'
      where revoked_at is null and (id = ${sessionId}
        or id = (select session_id from users.refresh_tokens where hash = ${refreshHash}))`.execute(db)
  },

  /** What the session has proved, its user's roles and what they allow, while it is live and the account enabled; one statement. */
  findLiveSession:
    (db: Reader, clock: Clock) =>
    async ({ userId, sessionId }: AccessClaims): Promise<LiveSession | undefined> => {
      const { rows } = await sql<LiveSession>`
        select u.roles, case when u.roles = '{customer}' then '{}' else array(
            select distinct p.permission from users.roles r, unnest(r.permissions) as p (permission)
            where r.name = any(u.roles)) end as granted,
          coalesce(s.authenticated_at, s.created_at) as "authenticatedAt", s.second_factor_at as "secondFactorAt"
        from users.sessions s join users.users u on u.id = s.user_id
        where s.id = ${sessionId} and s.user_id = ${userId}
          and s.revoked_at is null and s.expires_at > ${clock()} and u.disabled_at is null`.execute(db)
      return rows[0]
    },
})
