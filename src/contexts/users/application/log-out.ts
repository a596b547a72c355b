import type { SessionId } from '#kernel/ids.ts'
import type { Single } from '#platform/db/work.ts'

export type LogOutNeeds = {
  hashRefreshToken(token: string): Buffer
  revokeSessions(single: Single, sessionId: SessionId | null, refreshHash: Buffer | null): Promise<void>
}

/** Ends the session of the access token that asks, and that of the refresh token it gives; both tokens are void at once. */
export const logOut =
  (needs: LogOutNeeds) =>
  (single: Single, refreshToken: string | undefined): Promise<void> =>
    needs.revokeSessions(
      single,
      single.actor.sessionId ?? null,
      refreshToken === undefined ? null : needs.hashRefreshToken(refreshToken),
    )
