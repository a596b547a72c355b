import type { UserId } from '#kernel/ids.ts'
import type { Refusal } from '#kernel/refusal.ts'
import type { Reader, Single } from '#platform/db/work.ts'
import type { DeviceTokens } from '#platform/security/device-tokens.ts'
import type { Passwords } from '#platform/security/passwords.ts'
import type { ShownFactor } from '../domain/second-factor.ts'
import { type Attempt, type AttemptNeeds, attemptOf, failAttempt, failed, refuseBlocked } from './attempts.ts'
import { type CheckCodeNeeds, checkCode } from './check-code.ts'

/** Whose password it is said to be. */
export type Who = { readonly email: string } | { readonly userId: UserId }

/** What is shown: the password, a code where there is a second factor, and what this device or session is known by. */
export type Shown = {
  readonly password: string
  readonly code?: string | undefined
  readonly deviceToken?: string | undefined
}

export type Account = {
  readonly id: UserId
  readonly passwordHash: string
  readonly disabled: boolean
  /** Of the confirmed second factor. */
  readonly totpSecret: string | null
}

/** An account as it was checked; `freshHash` replaces a hash that is too weak today. */
export type Checked = {
  readonly userId: UserId
  readonly passwordHash: string
  readonly freshHash: string | null
  readonly factor: ShownFactor | null
  readonly attempt: Attempt
}

/** What is found under an e-mail or id; `knownFailures` are those counted under what the device or session is known by. */
export type Found = {
  readonly index: Buffer
  readonly account: Account | undefined
  /** Somebody else's, so that an unknown e-mail takes as long as a known one, also where hashes were imported. */
  readonly decoyHash: string | undefined
  readonly failures: number
  readonly knownFailures: number
}

export type CheckPasswordNeeds = AttemptNeeds &
  CheckCodeNeeds & {
    passwords: Passwords
    deviceTokens: DeviceTokens
    findAccount(db: Reader, who: Who, knownBy: Buffer | undefined): Promise<Found>
  }

/**
 * Finds the account and checks what is shown; what fails is counted and leaves an audit row. Refuses, the same and as slowly
 * with an account as without: users.wrong-credentials, users.too-many-attempts. Refuses to whoever has the password:
 * users.second-factor-required, users.wrong-code.
 */
export const checkPassword =
  (needs: CheckPasswordNeeds) =>
  async (single: Single, who: Who, { password, code, deviceToken }: Shown, sessionKey?: Buffer): Promise<Checked> => {
    const { passwords, deviceTokens } = needs
    const knownBy = sessionKey ?? (deviceToken === undefined ? undefined : deviceTokens.hashDeviceToken(deviceToken))
    const found = await needs.findAccount(single.db, who, knownBy)
    const { account } = found
    const isKnown =
      sessionKey ?? (deviceToken && account && deviceTokens.isDeviceToken(account.id, deviceToken, single.now))
    const known = isKnown && knownBy ? { key: knownBy, failures: found.knownFailures } : undefined
    const attempt = attemptOf(needs, { ...found, known }, single.actor.address)
    const action = sessionKey ? 'users.reauthenticate' : 'users.log-in'
    const subject = account?.id ?? 'unknown'
    try {
      await refuseBlocked(needs, attempt)
      const right = await passwords.isRight(password, account?.passwordHash, found.decoyHash)
      if (!account || !right || account.disabled)
        return await failAttempt(needs, single, attempt, failed(action, subject, 'password'))
      await refuseBlocked(needs, attempt)
      const factor = account.totpSecret === null ? null : await checkCode(needs)(single, account, code, action)
      const { id: userId, passwordHash } = account
      const freshHash = passwords.needsRehash(passwordHash) ? await passwords.hash(password) : null
      return { userId, passwordHash, freshHash, factor, attempt }
    } catch (error) {
      needs.note(single, 'warn', `${action}-failed`, subject, (error as Partial<Refusal>).code)
      throw error
    }
  }
