import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Single } from '#platform/db/work.ts'
import type { Passwords } from '#platform/security/passwords.ts'
import type { AccessTokens } from '#platform/security/tokens.ts'
import { refuse } from '../domain/problems.ts'
import { newSession, type Session } from '../domain/session.ts'
import type { UserView } from './user-view.ts'

export type Credentials = { readonly email: string; readonly password: string }

/** An account and the hash that its password was checked against; `freshHash` replaces a hash that is too weak today. */
export type Checked = { readonly userId: UserId; readonly passwordHash: string; readonly freshHash: string | null }

export type CheckPasswordNeeds = {
  passwords: Passwords
  /** The account of an e-mail, and somebody else's hash, so that an unknown e-mail takes as long as a known one. */
  findPasswordHash(email: string): Promise<{
    readonly found: { readonly id: UserId; readonly passwordHash: string } | undefined
    readonly decoyHash: string | undefined
  }>
}

/** Finds the account of an e-mail and password; refuses users.wrong-credentials, as slowly for an unknown e-mail. */
export const checkPassword =
  ({ passwords, findPasswordHash }: CheckPasswordNeeds) =>
  async ({ email, password }: Credentials): Promise<Checked> => {
    const { found, decoyHash } = await findPasswordHash(email)
    const right = await passwords.isRight(password, found?.passwordHash, decoyHash)
    if (!found || !right) throw refuse('users.wrong-credentials')
    const { id: userId, passwordHash } = found
    const freshHash = passwords.needsRehash(passwordHash) ? await passwords.hash(password) : null
    return { userId, passwordHash, freshHash }
  }

/** What a client holds while it is logged in; `expiresIn` is the access token's, in seconds. */
export type LoggedIn = {
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresIn: number
  readonly user: UserView
}

/** A refresh token as it is given, and the hash that is kept of it. */
export type RefreshToken = { readonly token: string; readonly hash: Buffer }

export type OpenSessionNeeds = {
  accessTokens: AccessTokens
  newSessionId(): SessionId
  newRefreshToken(): RefreshToken
  insertSession(
    single: Single,
    session: Session,
    checked: Checked,
    firstTokenHash: Buffer,
  ): Promise<UserView | undefined>
}

/** Opens a session; refuses users.wrong-credentials when the account was disabled or its password changed meanwhile. */
export const openSession =
  (needs: OpenSessionNeeds) =>
  async (single: Single, checked: Checked): Promise<LoggedIn> => {
    const session = newSession(needs.newSessionId(), checked.userId, single.now)
    const refresh = needs.newRefreshToken()
    const user = await needs.insertSession(single, session, checked, refresh.hash)
    if (!user) throw refuse('users.wrong-credentials')
    return loggedIn(needs.accessTokens, user, session.id, refresh.token)
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
