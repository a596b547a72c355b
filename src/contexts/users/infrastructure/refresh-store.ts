import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { SessionId } from '#kernel/ids.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { RefreshToken } from '../application/log-in.ts'
import type { RefreshSessionNeeds } from '../application/refresh-session.ts'
import { repeatableSince } from '../domain/refresh.ts'
import { idleUntil } from '../domain/session.ts'
import { sessionSealsOf } from './seals.ts'
import type { UserViews, ViewRow } from './user-views.ts'

export const hashRefreshToken = (token: string): Buffer => createHash('sha256').update(token).digest()

/** 256 random bits. */
export function newRefreshToken(): RefreshToken {
  const token = randomBytes(32).toString('base64url')
  return { token, hash: hashRefreshToken(token) }
}

type Row = ViewRow & {
  readonly session_id: SessionId
  readonly session_live: boolean
  readonly expires_at: Date
  readonly used_at: Date | null
  readonly successor: Buffer | null
  readonly live_hash: Buffer | null
}

/** SQL that exchanges refresh tokens. */
export function refreshStore({ toView }: Pick<UserViews, 'toView'>, encryption: Encryption) {
  const { sealCaller } = sessionSealsOf(encryption)

  /** The successor of a used token, while it is the one live token of the family. */
  const openSuccessor = ({ successor, live_hash }: Row, usedToken: string): string | null => {
    if (!successor || !live_hash) return null
    const token = encryption.openBytes(successor, usedToken).toString()
    return hashRefreshToken(token).equals(live_hash) ? token : null
  }

  const findRefreshToken: RefreshSessionNeeds['findRefreshToken'] = async ({ db, now }, token) => {
    const { rows } = await sql<Row>`
      select t.session_id, t.expires_at, t.used_at,
        case when t.used_at >= ${repeatableSince(now)} then t.successor end as successor, l.hash as live_hash,
        s.revoked_at is null and s.expires_at > ${now} and u.disabled_at is null as session_live,
        u.id, u.email, u.name, u.locale, u.roles, u.disabled_at, u.email_verified_at, u.created_at
      from users.refresh_tokens t
        join users.sessions s on s.id = t.session_id join users.users u on u.id = s.user_id
        left join users.refresh_tokens l on l.session_id = t.session_id and l.used_at is null
      where t.hash = ${hashRefreshToken(token)}`.execute(db)
    const row = rows[0]
    return (
      row && {
        sessionId: row.session_id,
        sessionLive: row.session_live,
        expiresAt: row.expires_at,
        usedAt: row.used_at,
        successor: openSuccessor(row, token),
        user: toView(row),
      }
    )
  }

  // The session's row is locked first: whoever revokes it waits, and then finds the successor, or was first and stops this.
  const rotateRefreshToken: RefreshSessionNeeds['rotateRefreshToken'] = async ({ db, now }, rotation) => {
    const { sessionId, used, next, caller } = rotation
    const { address, device } = sealCaller(caller, sessionId)
    const { rows } = await sql<{ session_id: SessionId }>`
      with family as (
        update users.sessions set last_used_at = ${now}, address = ${address}, device = ${device}
        where id = ${sessionId} and revoked_at is null and expires_at > ${now}
        returning id),
      used as (
        update users.refresh_tokens t set used_at = ${now}, successor = ${encryption.sealBytes(Buffer.from(next.token), used)}
        from family
        where t.hash = ${hashRefreshToken(used)} and t.session_id = family.id and t.used_at is null
          and t.expires_at > ${now}
        returning t.session_id),
      successor as (
        insert into users.refresh_tokens (hash, session_id, created_at, expires_at)
        select ${next.hash}::bytea, session_id, ${now}::timestamptz, ${idleUntil(now)}::timestamptz from used)
      select session_id from used`.execute(db)
    return rows.length > 0
  }

  return { findRefreshToken, rotateRefreshToken }
}
