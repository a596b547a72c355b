import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { type Clock, minutesAfter } from '#kernel/clock.ts'
import type { ApiKeyId } from '#kernel/ids.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { LiveApiKey } from '../application/authenticate.ts'
import type { ApiKeySecret, IssueApiKeyNeeds } from '../application/issue-api-key.ts'
import type { ChangeApiKey } from '../application/revoke-api-key.ts'
import type { ApiKey } from '../domain/api-key.ts'
import { refuse } from '../domain/problems.ts'

const COLUMNS = sql`
  id, name, hint, permissions, created_by as "createdBy", created_at as "createdAt", expires_at as "expiresAt",
  last_used_at as "lastUsedAt", revoked_at as "revokedAt", replaced_by as "replacedBy"`

/** Of 256 random bits a plain hash is enough: nobody guesses them, and looking one up takes as long for every guess. */
export const hashApiKey = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** A new secret of 256 random bits. */
export function newApiKeySecret(): ApiKeySecret {
  const secret = `sk_${randomBytes(32).toString('base64url')}`
  return { secret, hash: hashApiKey(secret), hint: secret.slice(-4) }
}

export const insertApiKey: IssueApiKeyNeeds['insertApiKey'] = async (work, key, hash) => {
  await sql`
    insert into users.api_keys (id, name, hash, hint, permissions, created_by, created_at, expires_at)
    values (${key.id}, ${key.name}, ${hash}, ${key.hint}, ${key.permissions}::text[], ${key.createdBy},
      ${key.createdAt}, ${key.expiresAt})`.execute(work.tx)
}

export const changeApiKey: ChangeApiKey = async (work, id, decide) => {
  const { rows } = await sql<ApiKey>`select ${COLUMNS} from users.api_keys where id = ${id} for update`.execute(work.tx)
  const [before] = rows
  if (!before) throw refuse('users.key-not-found')
  const after = await decide(before)
  await sql`
    update users.api_keys set expires_at = ${after.expiresAt}, revoked_at = ${after.revokedAt}, replaced_by = ${after.replacedBy}
    where id = ${id}`.execute(work.tx)
  return { before, after }
}

/**
 * What a key that is live allows; one statement. It writes down that the key was used at most once a minute, and never waits
 * for another request that is about to do the same.
 */
export const useApiKey =
  (db: Reader, clock: Clock) =>
  async (hash: Buffer): Promise<LiveApiKey | undefined> => {
    const now = clock()
    const { rows } = await sql<LiveApiKey>`
      with live as (
        select id, permissions from users.api_keys
        where hash = ${hash} and revoked_at is null and expires_at > ${now}),
      due as (
        select id from users.api_keys
        where hash = ${hash} and revoked_at is null and expires_at > ${now}
          and (last_used_at is null or last_used_at <= ${minutesAfter(now, -1)})
        for update skip locked),
      used as (
        update users.api_keys k set last_used_at = ${now} from due where k.id = due.id)
      select id, permissions from live`.execute(db)
    return rows[0]
  }

/** One page of keys, the newest first. */
export async function listApiKeys(db: Reader, limit: number, afterId: string = '~'): Promise<Page<ApiKey>> {
  const { rows } = await sql<ApiKey>`
    select ${COLUMNS} from users.api_keys where id < ${afterId} order by id desc limit ${limit + 1}`.execute(db)
  return pageOf(
    rows,
    limit,
    (row) => row,
    ({ id }: { id: ApiKeyId }) => [id],
  )
}
