import type { SessionId } from '#kernel/ids.ts'
import type { AuditEntry, Single } from '#platform/db/work.ts'
import type { DeviceTokens } from '#platform/security/device-tokens.ts'
import type { AccessTokens } from '#platform/security/tokens.ts'
import { type Caller, newSession, type Session } from '../domain/session.ts'
import { type AttemptNeeds, forgetAttempts } from './attempts.ts'
import type { Checked } from './check-password.ts'
import { proved, refuseUnproved } from './proof.ts'
import type { UserView } from './user-view.ts'

/** What a client holds while it is logged in; `expiresIn` is the access token's, in seconds. */
export type LoggedIn = {
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresIn: number
  /** Of a login: the device shows it at the next one, and is known. */
  readonly deviceToken?: string
  readonly user: UserView
}

/** A refresh token as it is given, and the hash that is kept of it. */
export type RefreshToken = { readonly token: string; readonly hash: Buffer }

export type OpenSessionNeeds = AttemptNeeds & {
  accessTokens: AccessTokens
  deviceTokens: DeviceTokens
  newSessionId(): SessionId
  newRefreshToken(): RefreshToken
  /** Uses up the second factor that was shown, in the same statement; undefined where it was used before. */
  insertSession(
    single: Single,
    session: Session,
    checked: Checked,
    firstTokenHash: Buffer,
    caller: Caller,
    audited: readonly AuditEntry[],
  ): Promise<UserView | undefined>
}

/**
 * Opens a session for what `check` finds right; refuses as it does when a code was used or the account changed meanwhile. Where
 * only the password was shown it is checked once more first: another login may have replaced an old hash of the same password.
 */
export const openSession =
  (needs: OpenSessionNeeds) =>
  async (single: Single, check: () => Promise<Checked>, device: string | null): Promise<LoggedIn> => {
    for (let tries = 1; ; tries += 1) {
      const checked = await check()
      const opened = await open(needs, single, checked, device)
      if (opened) return opened
      if (checked.factor || tries === 2) return refuseUnproved(needs, single, 'users.log-in', checked)
    }
  }

/** Undefined when the account is no longer as it was checked. */
async function open(
  needs: OpenSessionNeeds,
  single: Single,
  checked: Checked,
  device: string | null,
): Promise<LoggedIn | undefined> {
  const { userId, attempt } = checked
  const session = newSession(needs.newSessionId(), userId, single.now)
  const refresh = needs.newRefreshToken()
  const caller = { address: single.actor.address, device }
  const audited = proved('users.log-in', checked)
  const user = await needs.insertSession(single, session, checked, refresh.hash, caller, audited)
  if (!user) return undefined
  await forgetAttempts(needs, attempt, userId)
  needs.note(single, 'info', 'users.log-in', userId)
  const deviceToken = needs.deviceTokens.newDeviceToken(userId, single.now)
  return { ...(await loggedIn(needs.accessTokens, user, session.id, refresh.token)), deviceToken }
}

/** The answer of login and refresh: a new access token beside the session's refresh token. */
export async function loggedIn(
  accessTokens: AccessTokens,
  user: UserView,
  sessionId: SessionId,
  refreshToken: string,
): Promise<LoggedIn> {
  const accessToken = await accessTokens.sign({ userId: user.id, sessionId })
  return { accessToken, refreshToken, expiresIn: accessTokens.seconds, user }
}
