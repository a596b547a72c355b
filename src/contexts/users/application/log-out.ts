import type { SessionId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'

export type LogOutNeeds = {
  hashRefreshToken(token: string): Buffer
  logOutSessions(work: Work, sessionId: SessionId | null, refreshHash: Buffer | null): Promise<void>
}

/** Ends the session of the access token that asks, and that of the refresh token it gives; both tokens are void at once. */
export const logOut =
  (needs: LogOutNeeds) =>
  (work: Work, refreshToken: string | undefined): Promise<void> =>
    needs.logOutSessions(
      work,
      work.actor.sessionId ?? null,
      refreshToken === undefined ? null : needs.hashRefreshToken(refreshToken),
    )
