import type { AuditEntry, Single } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'

/** Counts what happens under a key within a time. */
type Limiter = {
  take(key: string): Promise<Allowed>
  peek(key: string): Promise<Allowed>
  forget(key: string): Promise<void>
}
type Allowed = { readonly allowed: boolean; readonly retryAfterSeconds: number }

export type AttemptNeeds = {
  attemptLimits: {
    /** Wrong passwords: 10 in 15 minutes for one account from one address, or from one known device. */
    readonly account: Limiter
    /** Wrong passwords: 100 in an hour from one address, whatever the account. */
    readonly address: Limiter
    /** Codes: 5 in 15 minutes for one account. */
    readonly code: Limiter
  }
  /** Counts a failure in a row under this key, where there is one, and leaves the audit row; one statement. */
  recordFailure(single: Single, key: Buffer | undefined, entry: AuditEntry): Promise<void>
  /** Writes a line for whoever watches the log. */
  note(by: Pick<Single, 'requestId'>, level: 'info' | 'warn', action: string, subject: string, reason?: string): void
  /** NIST SP 800-63B: at most 100 failures in a row, however slowly they come. */
  maxFailuresInARow: number
  /** Whose an address is: of an IPv6 address its network, which one subscriber has whole. */
  networkOf(address: string): string
}

/** One try at a password: what its failures are counted under. */
export type Attempt = {
  /** Failures in a row: of whoever is unknown there under the account; of a known device or session under itself. */
  readonly key: Buffer
  readonly failures: number
  readonly maxFailures: number
  /** What a success makes forgotten. */
  readonly forgives: readonly Buffer[]
  /** Failures within a time. */
  readonly windows: readonly { readonly limit: 'account' | 'address'; readonly key: string }[]
}

/** What is told to wait where only a known device or a new password helps. */
const WAIT_SECONDS = 3_600

type Counted = {
  readonly index: Buffer
  readonly failures: number
  readonly known: { readonly key: Buffer; readonly failures: number } | undefined
}

/** What a try counts under: a known device or session under itself, so that strangers cannot keep its user out. */
export function attemptOf(needs: AttemptNeeds, { index, failures, known }: Counted, address: string | null): Attempt {
  const { maxFailuresInARow: maxFailures } = needs
  if (known && known.failures < maxFailures)
    return {
      maxFailures,
      key: known.key,
      failures: known.failures,
      forgives: [known.key, index],
      windows: [{ limit: 'account', key: known.key.toString('base64url') }],
    }
  const network = address === null ? 'nowhere' : needs.networkOf(address)
  return {
    maxFailures,
    key: index,
    failures,
    forgives: [index],
    windows: [
      { limit: 'account', key: `${index.toString('base64url')} ${network}` },
      { limit: 'address', key: network },
    ],
  }
}

/** Refuses users.too-many-attempts once the failures are at their limit; asked before the password is looked at, and after. */
export async function refuseBlocked(
  { attemptLimits }: AttemptNeeds,
  { failures, maxFailures, windows }: Attempt,
): Promise<void> {
  if (failures >= maxFailures) throw tooMany(WAIT_SECONDS)
  refuseUnlessAllowed(await Promise.all(windows.map(({ limit, key }) => attemptLimits[limit].peek(key))))
}

/** Counts a wrong password, and refuses: users.wrong-credentials, or users.too-many-attempts from the limit on. */
export async function failAttempt(
  needs: AttemptNeeds,
  single: Single,
  attempt: Attempt,
  entry: AuditEntry,
): Promise<never> {
  await needs.recordFailure(single, attempt.key, entry)
  refuseUnlessAllowed(await Promise.all(attempt.windows.map(({ limit, key }) => needs.attemptLimits[limit].take(key))))
  throw refuse('users.wrong-credentials')
}

/** A right password: what failed before within the time no longer counts for this account. */
export async function forgetAttempts(
  { attemptLimits: { account, code } }: AttemptNeeds,
  { windows }: Attempt,
  userId: string,
): Promise<void> {
  const ofAccount = windows.filter(({ limit }) => limit === 'account')
  await Promise.all([...ofAccount.map(({ key }) => account.forget(key)), code.forget(userId)])
}

/** Counts one try at a user's codes; refuses users.too-many-attempts after five wrong ones in 15 minutes. */
export const takeCodeAttempt = async ({ attemptLimits }: AttemptNeeds, userId: string): Promise<void> =>
  refuseUnlessAllowed([await attemptLimits.code.take(userId)])

/** The audit row of what somebody failed to show: a password or a code. Its subject is the account, if there is one. */
export const failed = (action: string, subject: string, reason: 'password' | 'code'): AuditEntry => ({
  action: `${action}-failed`,
  subject,
  before: null,
  after: { reason },
})

function refuseUnlessAllowed(answers: readonly Allowed[]): void {
  const waits = answers.filter(({ allowed }) => !allowed).map(({ retryAfterSeconds }) => retryAfterSeconds)
  if (waits.length > 0) throw tooMany(Math.max(...waits))
}

const tooMany = (retryAfterSeconds: number) => refuse('users.too-many-attempts', undefined, { retryAfterSeconds })
