import type { SessionId } from '#kernel/ids.ts'
import type { Single } from '#platform/db/work.ts'
import type { AccessTokens } from '#platform/security/tokens.ts'
import { refuse } from '../domain/problems.ts'
import { type LoggedIn, loggedIn, type RefreshToken } from './log-in.ts'
import type { UserView } from './user-view.ts'

export type RefreshSessionNeeds = {
  accessTokens: AccessTokens
  newRefreshToken(): RefreshToken
  hashRefreshToken(token: string): Buffer
  rotateRefreshToken(
    single: Single,
    usedHash: Buffer,
    nextHash: Buffer,
  ): Promise<{ readonly sessionId: SessionId; readonly user: UserView } | undefined>
}

/** Exchanges a refresh token for new tokens, once: of many at the same time one gets them. Refuses users.invalid-refresh-token. */
export const refreshSession =
  (needs: RefreshSessionNeeds) =>
  async (single: Single, refreshToken: string): Promise<LoggedIn> => {
    const next = needs.newRefreshToken()
    const rotated = await needs.rotateRefreshToken(single, needs.hashRefreshToken(refreshToken), next.hash)
    if (!rotated) throw refuse('users.invalid-refresh-token')
    return loggedIn(needs.accessTokens, rotated.user, rotated.sessionId, next.token)
  }
