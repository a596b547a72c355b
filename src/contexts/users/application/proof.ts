import type { AuditEntry, Single } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import { type AttemptNeeds, failed } from './attempts.ts'
import type { Checked } from './check-password.ts'

/** The audit rows of a password, and second factor, that was right. */
export const proved = (action: string, { userId: subject, factor }: Checked): AuditEntry[] => [
  { action, subject, before: null, after: { secondFactor: factor?.kind ?? null } },
  ...(factor?.kind === 'recovery-code'
    ? [{ action: 'users.use-recovery-code', subject, before: { used: false }, after: { used: true } }]
    : []),
]

/** What was checked did not hold any more when it was to count: a code that was used, an account that changed. Leaves an audit row. */
export async function refuseUnproved(
  needs: AttemptNeeds,
  single: Single,
  action: string,
  { userId, factor }: Checked,
): Promise<never> {
  const refusal = refuse(factor ? 'users.wrong-code' : 'users.wrong-credentials')
  await needs.recordFailure(single, undefined, failed(action, userId, factor ? 'code' : 'password'))
  needs.note(single, 'warn', `${action}-failed`, userId, refusal.code)
  throw refusal
}
