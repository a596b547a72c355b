import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Actor, AuditEntry, Reader } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import { requireRecentProof } from '../domain/second-factor.ts'

/** A user's second factor: the secret that counts, and one that was shown and waits to be confirmed. */
export type SecondFactor = {
  readonly secret: string | null
  readonly nextSecret: string | null
  readonly email: string
}

export type FindSecondFactor = { findSecondFactor(db: Reader, userId: UserId): Promise<SecondFactor> }

/** A recovery code as it is given, and the hash that is kept of it. */
export type RecoveryCode = { readonly code: string; readonly hash: Buffer }

/** Who asks, in which session; refuses users.invalid-token to whoever has none. */
export function inSession({ actor }: { readonly actor: Actor }): {
  readonly userId: UserId
  readonly sessionId: SessionId
} {
  const { userId, sessionId } = actor
  if (!userId || !sessionId) throw refuse('users.invalid-token')
  return { userId, sessionId }
}

/** Who asks and their second factor, if the session proved itself just now; refuses users.reauthentication-required. */
export async function provedJustNow(
  needs: FindSecondFactor,
  by: { readonly actor: Actor; readonly now: Date },
  db: Reader,
) {
  const { userId, sessionId } = inSession(by)
  const factor = await needs.findSecondFactor(db, userId)
  requireRecentProof(by.actor, factor.secret !== null, by.now)
  return { userId, sessionId, factor }
}

/** The audit row of a change of somebody's second factor. */
export const changed = (action: string, subject: UserId, before: object, after: object): AuditEntry => ({
  action,
  subject,
  before,
  after,
})
