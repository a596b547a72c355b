import { sql } from 'kysely'
import type { ErasureId, UserId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Person } from '#platform/privacy.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { AccountToErase, Erasure } from '../application/erase-person.ts'
import { refuse } from '../domain/problems.ts'
import { sealsOf } from './seals.ts'

type AccountRow = {
  readonly email: Buffer
  readonly name: Buffer | null
  readonly roles: string[]
  readonly locale: string
  readonly createdAt: Date
  readonly emailVerifiedAt: Date | null
  readonly secondFactorSince: Date | null
  readonly addresses: readonly { id: string; sealed: string }[]
  readonly sessions: readonly { id: string; createdAt: string; address: string | null; device: string | null }[]
}

/** SQL that takes people out of the users' tables, and that reads all of what these keep of one. */
export function erasureStore(encryption: Encryption) {
  const { open, emailIndex } = sealsOf(encryption)
  const opened = (table: string, column: string, row: string, hex: string | null) =>
    hex === null ? null : encryption.open(Buffer.from(hex, 'hex'), { table, column, row })

  return {
    emailIndex,

    lockAccount: async (work: Work, { userId, emailIndex }: Person): Promise<AccountToErase | undefined> => {
      const { rows } = await sql<AccountToErase>`
        select id, roles, email_index as "emailIndex", email_verified_at is not null as "isVerified"
        from users.users
        where (id = ${userId} or (${userId}::text is null and email_index = ${emailIndex})) and erased_at is null
        for update`.execute(work.tx)
      return rows[0]
    },

    /** Leaves the id, and when the account was made and erased; another account may take the address. */
    eraseUser: async ({ tx, now }: Work, id: UserId): Promise<void> => {
      await sql`
        with sessions as (delete from users.sessions where user_id = ${id}),
          links as (delete from users.links where user_id = ${id}),
          factors as (delete from users.second_factors where user_id = ${id}),
          codes as (delete from users.recovery_codes where user_id = ${id}),
          addresses as (delete from users.addresses where user_id = ${id}),
          failures as (
            delete from users.failed_logins where key = (select email_index from users.users where id = ${id}))
        update users.users set email = null, email_index = sha256(convert_to(id, 'UTF8')), name = null,
          email_verified_at = null, password_hash = 'erased', roles = '{customer}', locale = 'en', disabled_at = ${now}, erased_at = ${now},
          version = version + 1, updated_at = ${now}
        where id = ${id} and erased_at is null`.execute(tx)
    },

    insertErasure: async ({ tx, actor }: Work, { id, userId, emailIndex, erasedAt }: Erasure): Promise<void> => {
      await sql`
        insert into users.erasures (id, user_id, email_index, erased_at, requested_by)
        values (${id}, ${userId}, ${emailIndex}, ${erasedAt}, ${actor.userId})
        on conflict (id) do nothing`.execute(tx)
    },

    /** All erasures, the first first. */
    listErasures: async (db: Reader): Promise<Erasure[]> => {
      const { rows } = await sql<Omit<Erasure, 'id'> & { id: ErasureId }>`
        select id, user_id as "userId", email_index as "emailIndex", erased_at as "erasedAt"
        from users.erasures order by id`.execute(db)
      return rows
    },

    findPerson: async (db: Reader, id: UserId): Promise<Person> => {
      const { rows } = await sql<Person>`
        select id as "userId", case when email_verified_at is not null then email_index end as "emailIndex"
        from users.users where id = ${id} and erased_at is null`.execute(db)
      if (!rows[0]) throw refuse('users.not-found')
      return rows[0]
    },

    collectAccount: async (db: Reader, id: UserId): Promise<Record<string, unknown>> => {
      const { rows } = await sql<AccountRow>`
        select u.email, u.name, u.roles, u.locale, u.created_at as "createdAt", u.email_verified_at as "emailVerifiedAt",
          (select f.confirmed_at from users.second_factors f where f.user_id = u.id) as "secondFactorSince",
          (select coalesce(json_agg(json_build_object('id', a.id, 'sealed', encode(a.address, 'hex')) order by a.id), '[]')
            from users.addresses a where a.user_id = u.id) as addresses,
          (select coalesce(json_agg(json_build_object('id', s.id, 'createdAt', s.created_at,
              'address', encode(s.address, 'hex'), 'device', encode(s.device, 'hex')) order by s.id), '[]')
            from users.sessions s where s.user_id = u.id) as sessions
        from users.users u where u.id = ${id}`.execute(db)
      const row = rows[0]
      if (!row) throw refuse('users.not-found')
      const { addresses, sessions, email, name, ...account } = row
      return {
        account: { ...account, ...open({ id, email, name }) },
        addresses: addresses.map((one) => ({
          id: one.id,
          ...JSON.parse(opened('users.addresses', 'address', one.id, one.sealed) ?? '{}'),
        })),
        sessions: sessions.map((one) => ({
          ...one,
          address: opened('users.sessions', 'address', one.id, one.address),
          device: opened('users.sessions', 'device', one.id, one.device),
        })),
      }
    },
  }
}
