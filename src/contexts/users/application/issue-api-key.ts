import type { ApiKeyId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type ApiKey, makeApiKey } from '../domain/api-key.ts'
import { requireRecent } from '../domain/session.ts'

/** A key's secret, which is shown once, and what is kept of it. */
export type ApiKeySecret = { readonly secret: string; readonly hash: Buffer; readonly hint: string }

export type IssueApiKeyNeeds = {
  newApiKeyId(): ApiKeyId
  newApiKeySecret(): ApiKeySecret
  insertApiKey(work: Work, key: ApiKey, hash: Buffer): Promise<void>
}
export type WantedApiKey = Pick<ApiKey, 'name' | 'permissions'> & { readonly days: number }

/**
 * Makes a key for a server and answers its secret, this once; leaves an audit row. Refuses users.cannot-grant and
 * users.reauthentication-required, which a key cannot meet: no key makes keys.
 */
export const issueApiKey =
  (needs: IssueApiKeyNeeds) =>
  async (work: Work, { name, permissions, days }: WantedApiKey): Promise<{ key: ApiKey; secret: string }> => {
    requireRecent(work.actor, work.now)
    const { secret, hash, hint } = needs.newApiKeySecret()
    const draft = { id: needs.newApiKeyId(), name, hint, permissions, createdBy: work.actor.userId }
    const key = makeApiKey(draft, days, work.actor, work.now)
    await needs.insertApiKey(work, key, hash)
    work.audit({ action: 'users.issue-api-key', subject: key.id, before: null, after: auditedKey(key) })
    return { key, secret }
  }

/** What the audit log says of a key. */
export const auditedKey = ({ permissions, expiresAt, revokedAt, replacedBy }: ApiKey) => ({
  permissions,
  expiresAt,
  revoked: revokedAt !== null,
  replacedBy,
})
