import type { SessionId, UserId } from '#kernel/ids.ts'
import type { AuditEntry, Single } from '#platform/db/work.ts'
import type { Totp } from '#platform/security/totp.ts'
import { refuse } from '../domain/problems.ts'
import { RECOVERY_CODES } from '../domain/second-factor.ts'
import { type AttemptNeeds, takeCodeAttempt } from './attempts.ts'
import { changed, type FindSecondFactor, inSession, type RecoveryCode } from './second-factor.ts'

/** A secret that was just shown to be in the app, by a code of this step. */
export type Confirmed = {
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly secret: string
  readonly step: number
}

export type ConfirmTotpNeeds = FindSecondFactor &
  AttemptNeeds & {
    totp: Totp
    newRecoveryCode(): RecoveryCode
    /** Makes the waiting secret the one that counts, with these recovery codes alone, and marks the session; false where it waits no more. */
    confirmSecret(
      single: Single,
      confirmed: Confirmed,
      codes: readonly Buffer[],
      audited: readonly AuditEntry[],
    ): Promise<boolean>
  }

/**
 * Turns the second factor on by a code of the secret that was started, and tells the recovery codes, this once. Refuses
 * users.no-second-factor, users.wrong-code, users.too-many-attempts.
 */
export const confirmTotp =
  (needs: ConfirmTotpNeeds) =>
  async (single: Single, code: string): Promise<readonly string[]> => {
    const { userId, sessionId } = inSession(single)
    const { nextSecret: secret, secret: before } = await needs.findSecondFactor(single.db, userId)
    if (secret === null) throw refuse('users.no-second-factor')
    await takeCodeAttempt(needs, userId)
    const step = needs.totp.stepOf(secret, code.replaceAll(' ', ''), single.now)
    if (step === undefined) throw refuse('users.wrong-code')
    const codes = Array.from({ length: RECOVERY_CODES }, needs.newRecoveryCode)
    const hashes = codes.map(({ hash }) => hash)
    const audited = [changed('users.enrol-second-factor', userId, { totp: before !== null }, { totp: true })]
    if (!(await needs.confirmSecret(single, { userId, sessionId, secret, step }, hashes, audited)))
      throw refuse('users.no-second-factor')
    await needs.attemptLimits.code.forget(userId)
    needs.note(single, 'info', 'users.enrol-second-factor', userId)
    return codes.map((one) => one.code)
  }
