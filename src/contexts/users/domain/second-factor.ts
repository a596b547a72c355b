import { minutesAfter } from '#kernel/clock.ts'
import { refuse } from './problems.ts'
import { RECENT_MINUTES, requireRecent } from './session.ts'

/** How a second factor was shown: a code of this step, or a recovery code of this hash. Either counts once. */
export type ShownFactor =
  | { readonly kind: 'totp'; readonly step: number }
  | { readonly kind: 'recovery-code'; readonly hash: Buffer }

/** How many recovery codes a set has. */
export const RECOVERY_CODES = 10

/** When a session last proved itself, by password and by second factor. */
type Proved = { readonly authenticatedAt?: Date | undefined; readonly secondFactorAt?: Date | null | undefined }

/** Refuses users.reauthentication-required unless password, and second factor where there is one, were shown in the last ten minutes. */
export function requireRecentProof(by: Proved, hasFactor: boolean, now: Date): void {
  requireRecent(by, now)
  if (hasFactor && (!by.secondFactorAt || minutesAfter(by.secondFactorAt, RECENT_MINUTES) < now))
    throw refuse('users.reauthentication-required')
}
