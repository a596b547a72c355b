const GRACE_MS = 30_000

/** A refresh token as it is presented: what is known of it, of its successor and of its session. */
export type Presented = {
  /** Whether the session is neither revoked nor over, and the account enabled. */
  readonly sessionLive: boolean
  readonly expiresAt: Date
  readonly usedAt: Date | null
  /** The token that it was exchanged for, if that is not used yet and the exchange repeatable; null otherwise. */
  readonly successor: string | null
}

/** An exchange since then may be asked for once more: an answer was lost, or two tabs refreshed at once. */
export const repeatableSince = (now: Date): Date => new Date(now.getTime() - GRACE_MS)

/**
 * What a refresh token that is presented deserves: `rotate` the live one; `repeat` the answer that the last one was given
 * moments ago; `reuse` of any other used one means that two hold the family; `ended` is over, or its session is.
 */
export function judgeRefresh(
  { sessionLive, expiresAt, usedAt, successor }: Presented,
  now: Date,
): 'rotate' | 'repeat' | 'reuse' | 'ended' {
  if (!sessionLive || expiresAt <= now) return 'ended'
  if (!usedAt) return 'rotate'
  return successor === null ? 'reuse' : 'repeat'
}
