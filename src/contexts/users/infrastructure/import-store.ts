import { sql } from 'kysely'
import type { Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import { NO_PASSWORD } from '#platform/security/passwords.ts'
import type { NewCustomer } from '../application/import-users.ts'
import { sealsOf } from './seals.ts'

/** SQL of customers who come from another system. */
export function importStore(encryption: Encryption) {
  const { seal, emailIndex } = sealsOf(encryption)
  return {
    emailIndex,

    /** One statement, in the order of the index, so that two imports at once wait for each other and nothing else. */
    insertCustomers: async ({ tx, now }: Work, customers: readonly NewCustomer[]): Promise<number> => {
      const sealed = customers.map(seal)
      const { rows } = await sql`
        insert into users.users
          (id, email, email_index, name, password_hash, roles, email_verified_at, created_at, updated_at)
        select id, email, email_index, name, password_hash, '{customer}', verified_at, coalesce(created_at, ${now}), ${now}
        from unnest(${sealed.map(({ id }) => id)}::text[], ${sealed.map(({ email }) => email)}::bytea[],
          ${customers.map((one) => one.emailIndex)}::bytea[], ${sealed.map(({ name }) => name)}::bytea[],
          ${customers.map(({ passwordHash }) => passwordHash ?? NO_PASSWORD)}::text[],
          ${customers.map(({ emailVerifiedAt }) => emailVerifiedAt)}::timestamptz[],
          ${customers.map(({ createdAt }) => createdAt)}::timestamptz[])
          as given (id, email, email_index, name, password_hash, verified_at, created_at)
        order by email_index
        on conflict (email_index) do nothing
        returning id`.execute(tx)
      return rows.length
    },

    countTaken: async ({ tx }: Work, emailIndexes: readonly Buffer[]): Promise<number> => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from users.users where email_index = any(${emailIndexes}::bytea[])`.execute(tx)
      return rows[0]?.count ?? 0
    },
  }
}
