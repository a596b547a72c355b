import { minutesAfter } from '#kernel/clock.ts'
import type { DomainEvent } from '#kernel/event.ts'
import type { SessionId, UserId } from '#kernel/ids.ts'
import { refuse } from './problems.ts'

const DAY_MS = 24 * 60 * 60_000
const IDLE_DAYS = 30
/** How long a refresh token is good for. */
export const IDLE_SECONDS = IDLE_DAYS * 86_400
const ABSOLUTE_DAYS = 90
export const RECENT_MINUTES = 10

export type Session = {
  readonly id: SessionId
  readonly userId: UserId
  readonly createdAt: Date
  /** When it ends however much it is used. */
  readonly expiresAt: Date
}

/** Where a session is used from: an IP address, and what the program there calls itself. */
export type Caller = { readonly address: string | null; readonly device: string | null }

/** A session that was ended before its time, and whose. */
export type Ended = { readonly id: SessionId; readonly userId: UserId }

/** Why a session was ended before its time. */
export type RevokedFor = 'logout' | 'ended-elsewhere' | 'password-changed' | 'disabled' | 'refresh-reuse' | 'erased'

export type SessionRevoked = DomainEvent<
  'users.session-revoked.v1',
  { userId: UserId; sessionId: SessionId; reason: RevokedFor }
>
export const sessionRevoked = ({ id, userId }: Ended, reason: RevokedFor): SessionRevoked => ({
  type: 'users.session-revoked.v1',
  subject: userId,
  data: { userId, sessionId: id, reason },
})

/** A session ends after 90 days, or after 30 without a refresh. */
export const newSession = (id: SessionId, userId: UserId, now: Date): Session => ({
  id,
  userId,
  createdAt: now,
  expiresAt: new Date(now.getTime() + ABSOLUTE_DAYS * DAY_MS),
})

/** When a refresh token made now ends, unless its session ends before. */
export const idleUntil = (now: Date): Date => new Date(now.getTime() + IDLE_DAYS * DAY_MS)

/** When this session last showed the password; undefined for whoever has no session. */
type Proved = { readonly authenticatedAt?: Date | null | undefined }

/** Refuses users.reauthentication-required unless the session's password was shown in the last ten minutes. */
export function requireRecent({ authenticatedAt }: Proved, now: Date): void {
  if (!authenticatedAt || minutesAfter(authenticatedAt, RECENT_MINUTES) < now)
    throw refuse('users.reauthentication-required')
}
