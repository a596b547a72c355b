import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Single, Work } from '#platform/db/work.ts'
import { accountEvent, type PasswordChanged } from '../domain/link.ts'
import { refuse } from '../domain/problems.ts'
import { attemptOf, failAttempt, failed, refuseBlocked } from './attempts.ts'
import type { RevokeOtherSessions } from './change-account.ts'
import type { CheckPasswordNeeds } from './check-password.ts'
import { type HashNewPasswordNeeds, hashNewPassword } from './hash-new-password.ts'

export type ChangePasswordNeeds = CheckPasswordNeeds &
  HashNewPasswordNeeds & {
    hashSessionId(id: SessionId): Buffer
    /** False when the account's hash is another one by now. */
    replacePassword(work: Work, id: UserId, from: string, to: string): Promise<boolean>
    revokeOtherSessions: RevokeOtherSessions
  }

/** A password that was right, and the hash that is to replace its own. */
export type NewPassword = { readonly userId: UserId; readonly from: string; readonly to: string }
type Wanted = { readonly currentPassword: string; readonly password: string }
type Holder = { readonly email: string; readonly name: string | null; readonly isStaff: boolean }

/**
 * Checks the current password and hashes the new one, before a connection is asked for. Wrong ones count under the session.
 * Refuses users.wrong-credentials, users.too-many-attempts, users.weak-password.
 */
export const checkNewPassword =
  (needs: ChangePasswordNeeds) =>
  async (single: Single, holder: Holder, { currentPassword, password }: Wanted): Promise<NewPassword> => {
    const { userId, sessionId } = single.actor
    if (!userId || !sessionId) throw refuse('users.invalid-token')
    const key = needs.hashSessionId(sessionId)
    const found = await needs.findAccount(single.db, { userId }, key)
    const known = { key, failures: found.knownFailures }
    const attempt = attemptOf(needs, { ...found, known }, single.actor.address)
    await refuseBlocked(needs, attempt)
    const from = found.account?.passwordHash
    if (from === undefined || !(await needs.passwords.isRight(currentPassword, from)))
      return failAttempt(needs, single, attempt, failed('users.change-password', userId, 'password'))
    return { userId, from, to: await hashNewPassword(needs)(password, holder.isStaff ? 'staff' : 'customer', holder) }
  }

/** Replaces the password; the other sessions end, and the holder is told by mail. Refuses users.wrong-credentials when somebody was faster. */
export const changePassword =
  (needs: ChangePasswordNeeds) =>
  async (work: Work, { userId, from, to }: NewPassword): Promise<void> => {
    if (!(await needs.replacePassword(work, userId, from, to))) throw refuse('users.wrong-credentials')
    await needs.revokeOtherSessions(work.tx, userId, work.actor.sessionId ?? null, 'password-changed', work.now)
    work.audit({ action: 'users.change-password', subject: userId, before: null, after: { otherSessionsEnded: true } })
    work.emit(accountEvent<PasswordChanged>('users.password-changed.v1', userId))
  }
