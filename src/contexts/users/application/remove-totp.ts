import type { UserId } from '#kernel/ids.ts'
import type { AuditEntry, Single } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import type { AttemptNeeds } from './attempts.ts'
import { changed, type FindSecondFactor, provedJustNow } from './second-factor.ts'

export type RemoveTotpNeeds = FindSecondFactor &
  Pick<AttemptNeeds, 'note'> & {
    staffMfa: boolean
    removeSecondFactor(single: Single, userId: UserId, audited: readonly AuditEntry[]): Promise<void>
  }

/** Takes the second factor and its recovery codes away. Refuses users.reauthentication-required, and users.second-factor-kept to staff who must have one. */
export const removeTotp =
  (needs: RemoveTotpNeeds) =>
  async (single: Single): Promise<void> => {
    const { userId, factor } = await provedJustNow(needs, single, single.db)
    if (needs.staffMfa && single.actor.kind === 'staff') throw refuse('users.second-factor-kept')
    const audited = [changed('users.remove-second-factor', userId, { totp: factor.secret !== null }, { totp: false })]
    await needs.removeSecondFactor(single, userId, audited)
    needs.note(single, 'info', 'users.remove-second-factor', userId)
  }
