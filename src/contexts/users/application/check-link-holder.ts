import type { Single } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import { attemptOf, failAttempt, failed, refuseBlocked } from './attempts.ts'
import type { CheckPasswordNeeds } from './check-password.ts'
import type { RedeemLinkNeeds } from './redeem-link.ts'

export type CheckLinkHolderNeeds = CheckPasswordNeeds & Pick<RedeemLinkNeeds, 'findLink'>

/**
 * Whoever shows a link that verifies must also be who made the account: by a session of it, or by its password, whose wrong
 * ones count as those of a login. Uses nothing up. Refuses users.invalid-link, users.wrong-credentials, users.too-many-attempts.
 */
export const checkLinkHolder =
  (needs: CheckLinkHolderNeeds) =>
  async (single: Single, token: string, password: string | undefined): Promise<void> => {
    const { userId, sessionId, address } = single.actor
    const holder = await needs.findLink(single.db, token, 'verify-email', single.now)
    if (!holder) throw refuse('users.invalid-link')
    if (sessionId && userId === holder.id) return
    if (password === undefined) throw refuse('users.wrong-credentials')
    const found = await needs.findAccount(single.db, { userId: holder.id }, undefined)
    const attempt = attemptOf(needs, { ...found, known: undefined }, address)
    await refuseBlocked(needs, attempt)
    if (!(await needs.passwords.isRight(password, found.account?.passwordHash)))
      await failAttempt(needs, single, attempt, failed('users.verify-email', holder.id, 'password'))
  }
