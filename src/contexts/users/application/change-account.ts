import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { StoredRoles } from '../domain/roles.ts'
import type { Ended, RevokedFor } from '../domain/session.ts'
import { type AccountChange, changeAccount as accountChanged, type User } from '../domain/user.ts'
import type { ChangeUser } from './change-me.ts'

/** Ends a user's live sessions, but for this one. */
export type RevokeOtherSessions = (
  tx: Work['tx'],
  userId: UserId,
  exceptSessionId: SessionId | null,
  reason: RevokedFor,
  now: Date,
) => Promise<readonly Ended[]>

export type ChangeAccountNeeds = {
  changeUser: ChangeUser
  /** Locks all enabled owners in id order, so that two of them cannot remove each other at once. */
  lockOwners(work: Work): Promise<readonly UserId[]>
  /** The stored roles, which stay as they are until the commit. */
  lockRoles(work: Work): Promise<StoredRoles>
  revokeOtherSessions: RevokeOtherSessions
}

/**
 * Changes somebody's roles, or disables them, which ends their sessions, or enables them. Leaves an audit row. Refuses what
 * domain/user.ts refuses.
 */
export const changeAccount =
  (needs: ChangeAccountNeeds) => async (work: Work, id: UserId, change: AccountChange, version: number) => {
    const standing = { owners: await needs.lockOwners(work), stored: await needs.lockRoles(work) }
    const decide = (user: User) => accountChanged(user, change, work.actor, standing, work.now)
    const { before, after, version: newVersion } = await needs.changeUser(work, id, decide, version)
    if (after.disabledAt) await needs.revokeOtherSessions(work.tx, id, null, 'disabled', work.now)
    work.audit({ action: 'users.change-account', subject: id, before: audited(before), after: audited(after) })
    return { user: after, version: newVersion }
  }

const audited = ({ roles, disabledAt }: User) => ({ roles, disabled: disabledAt !== null })
