import type { SessionId } from '#kernel/ids.ts'
import type { AuditEntry, Single } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import { forgetAttempts } from './attempts.ts'
import { type Checked, type CheckPasswordNeeds, checkPassword, type Shown } from './check-password.ts'
import { proved, refuseUnproved } from './proof.ts'

export type ReauthenticateNeeds = CheckPasswordNeeds & {
  hashSessionId(id: SessionId): Buffer
  /** Uses up the second factor that was shown, and marks the session; false where that no longer holds. One statement. */
  renewSession(single: Single, sessionId: SessionId, checked: Checked, audited: readonly AuditEntry[]): Promise<boolean>
}

/** Shows the password, and the second factor where there is one, once more for this session. Refuses as checkPassword does. */
export const reauthenticate =
  (needs: ReauthenticateNeeds) =>
  async (single: Single, shown: Omit<Shown, 'deviceToken'>): Promise<void> => {
    const { userId, sessionId } = single.actor
    if (!userId || !sessionId) throw refuse('users.invalid-token')
    const checked = await checkPassword(needs)(single, { userId }, shown, needs.hashSessionId(sessionId))
    const renewed = await needs.renewSession(single, sessionId, checked, proved('users.reauthenticate', checked))
    if (!renewed) return refuseUnproved(needs, single, 'users.reauthenticate', checked)
    await forgetAttempts(needs, checked.attempt, userId)
    needs.note(single, 'info', 'users.reauthenticate', userId)
  }
