import { sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { AuditEntry, Reader, Single } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { AccessClaims } from '#platform/security/tokens.ts'
import type { LiveSession } from '../application/authenticate.ts'
import type { Checked } from '../application/check-password.ts'
import { type Caller, idleUntil, type Session } from '../domain/session.ts'
import { provedParts } from './login-store.ts'
import { sessionSealsOf } from './seals.ts'
import type { UserViews, ViewRow } from './user-views.ts'

/** Removes the sessions and refresh tokens that have ended. */
export async function forgetEnded(db: Reader, now: Date): Promise<void> {
  await sql`delete from users.refresh_tokens where expires_at < ${now}`.execute(db)
  await sql`delete from users.sessions where expires_at < ${now}`.execute(db)
}

/** SQL that opens sessions and tells whether they are live. */
export function sessionStore({ toView }: Pick<UserViews, 'toView'>, encryption: Encryption) {
  const { sealCaller } = sessionSealsOf(encryption)
  return {
    /** Opens the session with its first refresh token, if the account is as it was checked; one statement. */
    insertSession: async (
      single: Single,
      session: Session,
      checked: Checked,
      firstTokenHash: Buffer,
      caller: Caller,
      audited: readonly AuditEntry[],
    ) => {
      const { id, createdAt, expiresAt } = session
      const { address, device } = sealCaller(caller, id)
      const { rows } = await sql<ViewRow>`
        with ${provedParts(single, checked)},
        strengthened as (
          update users.users set password_hash = ${checked.freshHash}
          where id = ${checked.userId} and password_hash = ${checked.passwordHash} and ${checked.freshHash}::text is not null),
        opened as (
          insert into users.sessions
            (id, user_id, created_at, authenticated_at, second_factor_at, last_used_at, expires_at, address, device)
          select ${id}, user_id, ${createdAt}::timestamptz, ${createdAt}::timestamptz,
            ${checked.factor && createdAt}::timestamptz, ${createdAt}::timestamptz, ${expiresAt}::timestamptz,
            ${address}::bytea, ${device}::bytea
          from proved returning id),
        token as (
          insert into users.refresh_tokens (hash, session_id, created_at, expires_at)
          select ${firstTokenHash}::bytea, id, ${createdAt}::timestamptz, ${idleUntil(createdAt)}::timestamptz from opened),
        audited as (${single.auditing(audited, sql`exists (select from opened)`)})
        select id, email, name, locale, roles, disabled_at, email_verified_at, created_at from person join proved on user_id = id`.execute(
        single.db,
      )
      return rows[0] && toView(rows[0])
    },

    /** What the session has proved, its user's language, roles and what they allow, while it is live and the account enabled; one statement. */
    findLiveSession:
      (db: Reader, clock: Clock) =>
      async ({ userId, sessionId }: AccessClaims): Promise<LiveSession | undefined> => {
        const { rows } = await sql<LiveSession>`
          select u.locale, u.roles, case when u.roles = '{customer}' then '{}' else array(
              select distinct p.permission from users.roles r, unnest(r.permissions) as p (permission)
              where r.name = any(u.roles)) end as granted,
            coalesce(s.authenticated_at, s.created_at) as "authenticatedAt", s.second_factor_at as "secondFactorAt"
          from users.sessions s join users.users u on u.id = s.user_id
          where s.id = ${sessionId} and s.user_id = ${userId}
            and s.revoked_at is null and s.expires_at > ${clock()} and u.disabled_at is null`.execute(db)
        return rows[0]
      },
  }
}
