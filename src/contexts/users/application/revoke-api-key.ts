import type { ApiKeyId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type ApiKey, revokeApiKey as keyRevoked } from '../domain/api-key.ts'
import { auditedKey } from './issue-api-key.ts'

/** Locks one key, lets `decide` change it and saves; refuses users.key-not-found. */
export type ChangeApiKey = (
  work: Work,
  id: ApiKeyId,
  decide: (key: ApiKey) => ApiKey | Promise<ApiKey>,
) => Promise<{ readonly before: ApiKey; readonly after: ApiKey }>

export type RevokeApiKeyNeeds = { changeApiKey: ChangeApiKey }

/** Ends a key: the next request with it is refused. Leaves an audit row; refuses users.key-not-found, users.cannot-grant. */
export const revokeApiKey =
  (needs: RevokeApiKeyNeeds) =>
  async (work: Work, id: ApiKeyId): Promise<void> => {
    const { before, after } = await needs.changeApiKey(work, id, (key) => keyRevoked(key, work.actor, work.now))
    if (before.revokedAt) return
    work.audit({ action: 'users.revoke-api-key', subject: id, before: auditedKey(before), after: auditedKey(after) })
  }
