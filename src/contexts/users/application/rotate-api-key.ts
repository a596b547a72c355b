import type { ApiKeyId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type ApiKey, rotateApiKey as keyRotated } from '../domain/api-key.ts'
import { requireRecent } from '../domain/session.ts'
import { auditedKey, type IssueApiKeyNeeds } from './issue-api-key.ts'
import type { ChangeApiKey } from './revoke-api-key.ts'

export type RotateApiKeyNeeds = IssueApiKeyNeeds & { changeApiKey: ChangeApiKey }

/**
 * Makes a key in the place of another, which ends after the overlap, and answers its secret, this once; leaves an audit row of
 * each. Refuses users.reauthentication-required, users.key-not-found, users.key-ended and users.cannot-grant.
 */
export const rotateApiKey =
  (needs: RotateApiKeyNeeds) =>
  async (work: Work, id: ApiKeyId, overlapHours: number): Promise<{ key: ApiKey; secret: string }> => {
    requireRecent(work.actor, work.now)
    const { secret, hash, hint } = needs.newApiKeySecret()
    const next = { id: needs.newApiKeyId(), hint, createdBy: work.actor.userId }
    let fresh: ApiKey | undefined
    const { before, after } = await needs.changeApiKey(work, id, async (key) => {
      const rotated = keyRotated(key, next, overlapHours, work.actor, work.now)
      fresh = rotated.fresh
      await needs.insertApiKey(work, rotated.fresh, hash)
      return rotated.old
    })
    if (!fresh) throw new Error('A rotation made no key.')
    work.audit({ action: 'users.rotate-api-key', subject: id, before: auditedKey(before), after: auditedKey(after) })
    work.audit({ action: 'users.issue-api-key', subject: fresh.id, before: null, after: auditedKey(fresh) })
    return { key: fresh, secret }
  }
