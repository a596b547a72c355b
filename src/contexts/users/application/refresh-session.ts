import type { SessionId } from '#kernel/ids.ts'
import type { Perform } from '#platform/db/perform.ts'
import type { Single, Work } from '#platform/db/work.ts'
import type { AccessTokens } from '#platform/security/tokens.ts'
import { refuse } from '../domain/problems.ts'
import { judgeRefresh, type Presented } from '../domain/refresh.ts'
import { type Caller, type Ended, type RevokedFor, sessionRevoked } from '../domain/session.ts'
import { type LoggedIn, loggedIn, type RefreshToken } from './log-in.ts'
import type { UserView } from './user-view.ts'

/** Ends one live session and its refresh token; tells which, or nothing when it is not live any more. */
export type EndSession = (work: Work, id: SessionId, reason: RevokedFor) => Promise<Ended | undefined>

type Found = Presented & { readonly sessionId: SessionId; readonly user: UserView }
type Rotation = {
  readonly sessionId: SessionId
  readonly used: string
  readonly next: RefreshToken
  readonly caller: Caller
}

export type RefreshSessionNeeds = {
  accessTokens: AccessTokens
  perform: Perform
  newRefreshToken(): RefreshToken
  findRefreshToken(single: Single, token: string): Promise<Found | undefined>
  /** Puts the successor in the place of a live token; false when that was used, or its session ended, meanwhile. */
  rotateRefreshToken(single: Single, rotation: Rotation): Promise<boolean>
  endSession: EndSession
}

/**
 * Exchanges a refresh token for new tokens, once: all who ask with it within moments get the same ones. A token that comes
 * back later was stolen, or its successor was: the session ends, and that is committed. Refuses users.invalid-refresh-token.
 */
export const refreshSession =
  (needs: RefreshSessionNeeds) =>
  async (single: Single, token: string, device: string | null): Promise<LoggedIn> => {
    const { now, actor, requestId } = single
    let found = await needs.findRefreshToken(single, token)
    if (found && judgeRefresh(found, now) === 'rotate') {
      const { sessionId, user } = found
      const next = needs.newRefreshToken()
      const caller = { address: actor.address, device }
      if (await needs.rotateRefreshToken(single, { sessionId, used: token, next, caller }))
        return loggedIn(needs.accessTokens, user, sessionId, next.token)
      found = await needs.findRefreshToken(single, token)
    }
    const verdict = found && judgeRefresh(found, now)
    if (found?.successor && verdict === 'repeat')
      return loggedIn(needs.accessTokens, found.user, found.sessionId, found.successor)
    if (found && verdict === 'reuse') await needs.perform({ actor, requestId }, endReused(needs, found.sessionId))
    throw refuse('users.invalid-refresh-token')
  }

const endReused = (needs: RefreshSessionNeeds, sessionId: SessionId) => async (work: Work) => {
  const reason = 'refresh-reuse'
  const ended = await needs.endSession(work, sessionId, reason)
  if (!ended) return
  work.audit({
    action: 'users.session-revoked',
    subject: sessionId,
    before: null,
    after: { userId: ended.userId, reason },
  })
  work.emit(sessionRevoked(ended, reason))
}
