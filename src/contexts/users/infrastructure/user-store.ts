import { sql } from 'kysely'
import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { refuse as refusePlatform } from '#platform/problems.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { ChangeUser } from '../application/change-me.ts'
import type { InsertUser } from '../application/register.ts'
import { refuse } from '../domain/problems.ts'
import type { User } from '../domain/user.ts'
import { type SealedUser, sealsOf } from './seals.ts'

type UserRow = SealedUser & {
  readonly locale: string
  readonly password_hash: string
  readonly roles: string[]
  readonly disabled_at: Date | null
  readonly email_verified_at: Date | null
  readonly version: number
  readonly created_at: Date
}

/** SQL that changes users. */
export function userStore(encryption: Encryption) {
  const { seal, open, emailIndex } = sealsOf(encryption)

  const insertUser: InsertUser = async (work, user) => {
    const { email, name } = seal(user)
    const { rows } = await sql<{ id: UserId }>`
      with inserted as (
        insert into users.users (id, email, email_index, name, password_hash, roles, locale, created_at, updated_at)
        values (${user.id}, ${email}, ${emailIndex(user.email)}, ${name}, ${user.passwordHash}, ${user.roles}::text[],
          ${user.locale}, ${work.now}, ${work.now})
        on conflict (email_index) do nothing
        returning id)
      select id from inserted
      union all
      select id from users.users where email_index = ${emailIndex(user.email)}`.execute(work.tx)
    return rows[0]?.id
  }

  const changeUser: ChangeUser = async (work, id, decide, version) => {
    const { rows } = await sql<UserRow>`
      select id, email, name, locale, password_hash, roles, disabled_at, email_verified_at, version, created_at
      from users.users where id = ${id} and erased_at is null for update`.execute(work.tx)
    const row = rows[0]
    if (!row) throw refuse('users.not-found')
    if (version !== undefined && row.version !== version) throw refusePlatform('platform.stale')
    const before = toUser(row)
    const { state: after, events } = decide(before)
    if (events.length === 0) return { before, after, version: row.version }
    await sql`
      update users.users set name = ${seal(after).name}, locale = ${after.locale}, roles = ${after.roles}::text[], disabled_at = ${after.disabledAt},
        version = version + 1, updated_at = ${work.now}
      where id = ${id}`.execute(work.tx)
    work.emit(...events)
    return { before, after, version: row.version + 1 }
  }

  const toUser = (row: UserRow): User => ({
    ...open(row),
    locale: row.locale,
    passwordHash: row.password_hash,
    roles: row.roles,
    disabledAt: row.disabled_at,
    emailVerifiedAt: row.email_verified_at,
    createdAt: row.created_at,
  })

  return {
    insertUser,
    changeUser,

    /** Locks all enabled owners in id order. */
    lockOwners: async (work: Work): Promise<UserId[]> => {
      const { rows } = await sql<{ id: UserId }>`
        select id from users.users
        where roles <> '{customer}' and 'owner' = any(roles) and disabled_at is null
        order by id for update`.execute(work.tx)
      return rows.map(({ id }) => id)
    },
  }
}
