import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import { RECOVERY_CODES } from '../domain/second-factor.ts'
import type { AttemptNeeds } from './attempts.ts'
import { changed, type FindSecondFactor, provedJustNow, type RecoveryCode } from './second-factor.ts'

export type RenewRecoveryCodesNeeds = FindSecondFactor &
  Pick<AttemptNeeds, 'note'> & {
    newRecoveryCode(): RecoveryCode
    replaceRecoveryCodes(work: Work, userId: UserId, codes: readonly Buffer[]): Promise<void>
  }

/** A new set of recovery codes, told this once; those before are void. Refuses users.reauthentication-required, users.no-second-factor. */
export const renewRecoveryCodes =
  (needs: RenewRecoveryCodesNeeds) =>
  async (work: Work): Promise<readonly string[]> => {
    const { userId, factor } = await provedJustNow(needs, work, work.tx)
    if (factor.secret === null) throw refuse('users.no-second-factor')
    const codes = Array.from({ length: RECOVERY_CODES }, needs.newRecoveryCode)
    const hashes = codes.map(({ hash }) => hash)
    await needs.replaceRecoveryCodes(work, userId, hashes)
    work.audit(changed('users.renew-recovery-codes', userId, {}, { recoveryCodes: RECOVERY_CODES }))
    needs.note(work, 'info', 'users.renew-recovery-codes', userId)
    return codes.map(({ code }) => code)
  }
