import { sql } from 'kysely'
import type { UserId } from '#kernel/ids.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { UserView } from '../application/user-view.ts'
import { refuse } from '../domain/problems.ts'
import type { User } from '../domain/user.ts'
import { type SealedUser, sealsOf } from './seals.ts'

export type ViewRow = SealedUser & {
  readonly locale: string
  readonly roles: string[]
  readonly disabled_at: Date | null
  readonly email_verified_at: Date | null
  readonly created_at: Date
}

export type UserFilter = {
  readonly limit: number
  readonly afterId: string | undefined
  readonly email: string | undefined
  readonly kind: 'customer' | 'staff' | undefined
}

/** SQL that reads users. */
export function userViews(db: Reader, encryption: Encryption) {
  const { open, emailIndex } = sealsOf(encryption)

  const toView = (row: ViewRow): UserView => ({
    ...open(row),
    locale: row.locale,
    emailVerified: row.email_verified_at !== null,
    roles: row.roles,
    disabled: row.disabled_at !== null,
    createdAt: row.created_at.toISOString(),
  })

  return {
    toView,

    /** One user and their version; refuses users.not-found. */
    findUser: async (id: UserId): Promise<{ user: UserView; version: number }> => {
      const { rows } = await sql<ViewRow & { version: number }>`
        select id, email, name, locale, roles, disabled_at, email_verified_at, created_at, version from users.users where id = ${id} and erased_at is null`.execute(
        db,
      )
      const row = rows[0]
      if (!row) throw refuse('users.not-found')
      return { user: toView(row), version: row.version }
    },

    /** Users, the newest first. */
    listUsers: async ({ limit, afterId = '~', email, kind }: UserFilter): Promise<Page<UserView>> => {
      const { rows } = await sql<ViewRow>`
        select id, email, name, locale, roles, disabled_at, email_verified_at, created_at from users.users
        where id < ${afterId} and erased_at is null
          ${email === undefined ? sql`` : sql`and email_index = ${emailIndex(email)}`}
          ${kind === undefined ? sql`` : kind === 'staff' ? sql`and roles <> '{customer}'` : sql`and roles = '{customer}'`}
        order by id desc limit ${limit + 1}`.execute(db)
      return pageOf(rows, limit, toView, (row) => [row.id])
    },
  }
}

export type UserViews = ReturnType<typeof userViews>

/** A user that was just saved, as answers show one. */
export const viewOf = ({ id, email, emailVerifiedAt, name, locale, roles, disabledAt, createdAt }: User): UserView => ({
  id,
  email,
  emailVerified: emailVerifiedAt !== null,
  name,
  locale,
  roles,
  disabled: disabledAt !== null,
  createdAt: createdAt.toISOString(),
})
