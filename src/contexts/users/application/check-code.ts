import type { Single } from '#platform/db/work.ts'
import type { Totp } from '#platform/security/totp.ts'
import { refuse } from '../domain/problems.ts'
import type { ShownFactor } from '../domain/second-factor.ts'
import { type AttemptNeeds, failed, takeCodeAttempt } from './attempts.ts'
import type { Account } from './check-password.ts'

export type CheckCodeNeeds = AttemptNeeds & { totp: Totp; hashRecoveryCode(code: string): Buffer }

const SIX_DIGITS = /^\d{6}$/

/**
 * What this code is: of the account's app, checked by the time, or a recovery code, known once it is used up. Refuses
 * users.second-factor-required without one, users.wrong-code, and users.too-many-attempts after five in 15 minutes.
 */
export const checkCode =
  (needs: CheckCodeNeeds) =>
  async (
    single: Single,
    { id, totpSecret }: Account,
    code: string | undefined,
    action: string,
  ): Promise<ShownFactor> => {
    if (code === undefined) throw refuse('users.second-factor-required')
    await takeCodeAttempt(needs, id)
    const digits = code.replaceAll(' ', '')
    if (!SIX_DIGITS.test(digits)) return { kind: 'recovery-code', hash: needs.hashRecoveryCode(code) }
    const step = totpSecret === null ? undefined : needs.totp.stepOf(totpSecret, digits, single.now)
    if (step !== undefined) return { kind: 'totp', step }
    await needs.recordFailure(single, undefined, failed(action, id, 'code'))
    throw refuse('users.wrong-code')
  }
