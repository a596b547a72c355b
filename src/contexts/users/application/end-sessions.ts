import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import { type Ended, sessionRevoked } from '../domain/session.ts'

export type EndSessionsNeeds = {
  /** Ends a user's live sessions, or one of them. */
  endOwnSessions(work: Work, userId: UserId, id?: SessionId): Promise<readonly Ended[]>
}

/** Ends one session of whoever asks, which may be the one that asks. Refuses users.session-not-found, also for somebody else's. */
export const endSessionOfMine =
  (needs: EndSessionsNeeds) =>
  async (work: Work, id: SessionId): Promise<void> => {
    const ended = await needs.endOwnSessions(work, holderOf(work), id)
    if (ended.length === 0) throw refuse('users.session-not-found')
    tell(work, ended)
  }

/** Ends every session of whoever asks, this one included. */
export const endAllMySessions =
  (needs: EndSessionsNeeds) =>
  async (work: Work): Promise<void> =>
    tell(work, await needs.endOwnSessions(work, holderOf(work)))

function holderOf({ actor: { userId } }: Work): UserId {
  if (!userId) throw refuse('users.session-not-found')
  return userId
}

function tell(work: Work, ended: readonly Ended[]): void {
  for (const one of ended) {
    const reason = one.id === work.actor.sessionId ? 'logout' : 'ended-elsewhere'
    const after = { userId: one.userId, reason }
    work.audit({ action: 'users.session-revoked', subject: one.id, before: null, after })
    work.emit(sessionRevoked(one, reason))
  }
}
