import type { ApiKeyId, UserId } from '#kernel/ids.ts'
import { type Grantor, refuseUnlessHolds } from './granting.ts'
import { refuse } from './problems.ts'

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
export const DEFAULT_DAYS = 365
export const MAX_DAYS = 2 * 365
export const MAX_OVERLAP_HOURS = 7 * 24

/** A server's key. It belongs to the shop: it outlives the account that made it, until it ends or is revoked. */
export type ApiKey = {
  readonly id: ApiKeyId
  readonly name: string
  /** The last four characters of the secret. */
  readonly hint: string
  readonly permissions: readonly string[]
  readonly createdBy: UserId | null
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
  /** The key that a rotation put in its place. */
  readonly replacedBy: ApiKeyId | null
}
type NewKey = Pick<ApiKey, 'id' | 'name' | 'hint' | 'permissions' | 'createdBy'>

/** A key for so many days; refuses users.cannot-grant for permissions that `by` lacks. */
export function makeApiKey(draft: NewKey, days: number, by: Grantor, now: Date): ApiKey {
  refuseUnlessHolds(by, draft.permissions)
  return {
    ...draft,
    permissions: [...new Set(draft.permissions)].sort(),
    createdAt: now,
    expiresAt: new Date(now.getTime() + days * DAY_MS),
    lastUsedAt: null,
    revokedAt: null,
    replacedBy: null,
  }
}

/**
 * Puts a key of the same permissions and as many days in the place of one that is live, which ends after the overlap. Refuses
 * users.cannot-grant, and users.key-ended for one that is over or was replaced.
 */
export function rotateApiKey(
  key: ApiKey,
  next: Pick<ApiKey, 'id' | 'hint' | 'createdBy'>,
  overlapHours: number,
  by: Grantor,
  now: Date,
): { readonly old: ApiKey; readonly fresh: ApiKey } {
  if (key.revokedAt || key.expiresAt <= now || key.replacedBy) throw refuse('users.key-ended')
  const days = (key.expiresAt.getTime() - key.createdAt.getTime()) / DAY_MS
  const fresh = makeApiKey({ ...next, name: key.name, permissions: key.permissions }, days, by, now)
  const ends = new Date(Math.min(key.expiresAt.getTime(), now.getTime() + overlapHours * HOUR_MS))
  return { old: { ...key, expiresAt: ends, replacedBy: fresh.id }, fresh }
}

/** Ends a key at once, for good; refuses users.cannot-grant. */
export function revokeApiKey(key: ApiKey, by: Grantor, now: Date): ApiKey {
  refuseUnlessHolds(by, key.permissions)
  return { ...key, revokedAt: key.revokedAt ?? now }
}
