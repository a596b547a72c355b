import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { UserId } from '#kernel/ids.ts'
import { isUniqueViolation } from '#platform/db/errors.ts'
import type { Reader, Single, Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { LinkHolder } from '../application/redeem-link.ts'
import type { MintedLink, Recipient } from '../application/send-letter.ts'
import { type KeptPurpose, type LinkPurpose, linkEnd } from '../domain/link.ts'
import { type SealedUser, sealsOf } from './seals.ts'

type HolderRow = SealedUser & {
  readonly roles: readonly string[]
  readonly new_email: Buffer | null
  readonly hash: Buffer
}
type KeptRow = { readonly hash: Buffer; readonly new_email: Buffer }

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
const newEmailPlace = (hash: Buffer) => ({ table: 'users.links', column: 'new_email', row: hash.toString('hex') })

/** A link holds while the account has the password and the e-mail that it was made for. */
const BOUND_TO = sql`sha256(convert_to(u.password_hash, 'UTF8') || u.email_index)`
const IS_GOOD = (now: Date) => sql`used_at is null and expires_at > ${now}`
/** Of a purpose there is one good row: two that are made at once wait for each other, and the later one stays. */
const IN_PLACE_OF_THE_LAST = sql`
  on conflict (user_id, purpose) where used_at is null do update set hash = excluded.hash, bound_to = excluded.bound_to,
    new_email = excluded.new_email, created_at = excluded.created_at, expires_at = excluded.expires_at`

/** SQL of the links that are sent by mail, of which only hashes are kept. */
export function linkStore(encryption: Encryption) {
  const { seal, open, emailIndex } = sealsOf(encryption)
  const holderOf = ({ id, email, name, roles, new_email, hash }: HolderRow): LinkHolder => ({
    ...open({ id, email, name }),
    roles,
    newEmail: new_email && encryption.open(new_email, newEmailPlace(hash)),
  })
  const openKept = ({ hash, new_email }: KeptRow): string => encryption.open(new_email, newEmailPlace(hash))

  return {
    findByEmail: async ({ tx }: Work, email: string, which: 'any' | 'unverified'): Promise<UserId | undefined> => {
      const { rows } = await sql<{ id: UserId }>`
        select id from users.users
        where email_index = ${emailIndex(email)} and disabled_at is null
          and (${which === 'any'} or email_verified_at is null)`.execute(tx)
      return rows[0]?.id
    },

    keepEmail: async ({ tx, now }: Work, userId: UserId, purpose: KeptPurpose, email: string): Promise<string> => {
      const hash = randomBytes(32)
      await sql`
        with void as (
          delete from users.links
          where user_id = ${userId} and purpose = 'change-email' and used_at is null and ${purpose} = 'wanted-email')
        insert into users.links (hash, user_id, purpose, bound_to, new_email, created_at, expires_at, used_at)
        select ${hash}::bytea, u.id, ${purpose}::text, ${BOUND_TO}, ${encryption.seal(email, newEmailPlace(hash))}::bytea,
          ${now}::timestamptz, ${linkEnd('change-email', now)}::timestamptz,
          ${purpose === 'former-email' ? now : null}::timestamptz
        from users.users u where u.id = ${userId}
        ${IN_PLACE_OF_THE_LAST}`.execute(tx)
      return hash.toString('hex')
    },

    findNewEmail: async (db: Reader, wanted: string, now: Date) => {
      const { rows } = await sql<KeptRow>`
        select l.hash, l.new_email from users.links l join users.users u on u.id = l.user_id
        where l.hash = ${Buffer.from(wanted, 'hex')} and l.purpose = 'wanted-email' and ${IS_GOOD(now)}
          and l.bound_to = ${BOUND_TO}`.execute(db)
      if (!rows[0]) return undefined
      const email = openKept(rows[0])
      const { rows: taken } = await sql`select 1 from users.users where email_index = ${emailIndex(email)}`.execute(db)
      return { email, isTaken: taken.length > 0 }
    },

    findFormerEmail: async (db: Reader, former: string): Promise<string | undefined> => {
      const { rows } = await sql<KeptRow>`
        select hash, new_email from users.links
        where hash = ${Buffer.from(former, 'hex')} and purpose = 'former-email'`.execute(db)
      return rows[0] && openKept(rows[0])
    },

    /** 256 random bits; one statement makes it in place of the last. None when the account has gone or the wish is void. */
    mintLink: async (
      { db, now }: Single,
      id: UserId,
      purpose: LinkPurpose,
      wanted?: { readonly row: string; readonly email: string },
    ): Promise<MintedLink | undefined> => {
      const token = randomBytes(32).toString('base64url')
      const hash = sha256(token)
      const newEmail = wanted ? encryption.seal(wanted.email, newEmailPlace(hash)) : null
      const kept = wanted ? Buffer.from(wanted.row, 'hex') : null
      const { rows } = await sql`
        insert into users.links (hash, user_id, purpose, bound_to, new_email, created_at, expires_at)
        select ${hash}::bytea, u.id, ${purpose}::text, ${BOUND_TO}, ${newEmail}::bytea, ${now}::timestamptz,
          ${linkEnd(purpose, now)}::timestamptz
        from users.users u where u.id = ${id} and u.disabled_at is null
          and (${kept}::bytea is null or exists (select from users.links where hash = ${kept} and bound_to = ${BOUND_TO}))
        ${IN_PLACE_OF_THE_LAST}
        returning 1`.execute(db)
      return rows.length > 0 ? { token, name: hash.toString('hex').slice(0, 16) } : undefined
    },

    findLink: async (db: Reader, token: string, purpose: LinkPurpose, now: Date): Promise<LinkHolder | undefined> => {
      const { rows } = await sql<HolderRow>`
        select u.id, u.email, u.name, u.roles, l.new_email, l.hash
        from users.links l join users.users u on u.id = l.user_id
        where l.hash = ${sha256(token)} and l.purpose = ${purpose} and ${IS_GOOD(now)}
          and l.bound_to = ${BOUND_TO} and u.disabled_at is null`.execute(db)
      return rows[0] && holderOf(rows[0])
    },

    useLink: async ({ tx, now }: Work, token: string, purpose: LinkPurpose): Promise<LinkHolder | undefined> => {
      const { rows } = await sql<HolderRow>`
        with used as (
          update users.links set used_at = ${now}
          where hash = ${sha256(token)} and purpose = ${purpose} and ${IS_GOOD(now)}
          returning user_id, bound_to, new_email, hash)
        select u.id, u.email, u.name, u.roles, used.new_email, used.hash
        from users.users u join used on used.user_id = u.id
        where used.bound_to = ${BOUND_TO} and u.disabled_at is null
        for update of u`.execute(tx)
      return rows[0] && holderOf(rows[0])
    },

    markVerified: async ({ tx, now }: Work, id: UserId): Promise<void> => {
      await sql`
        update users.users set email_verified_at = coalesce(email_verified_at, ${now}), version = version + 1,
          updated_at = ${now}
        where id = ${id}`.execute(tx)
    },

    setPassword: async ({ tx, now }: Work, id: UserId, passwordHash: string, emailVerified: boolean): Promise<void> => {
      await sql`
        with forgiven as (
          delete from users.failed_logins where key = (select email_index from users.users where id = ${id})),
        unproved as (
          select id from users.users
          where id = ${id} and ${emailVerified} and email_verified_at is null and roles = '{customer}'),
        factors as (delete from users.second_factors where user_id in (select id from unproved)),
        codes as (delete from users.recovery_codes where user_id in (select id from unproved)),
        book as (delete from users.addresses where user_id in (select id from unproved))
        update users.users set password_hash = ${passwordHash}, version = version + 1, updated_at = ${now},
          email_verified_at = case when ${emailVerified} then coalesce(email_verified_at, ${now}) else email_verified_at end
        where id = ${id}`.execute(tx)
    },

    replacePassword: async ({ tx, now }: Work, id: UserId, from: string, to: string): Promise<boolean> => {
      const { rows } = await sql`
        update users.users set password_hash = ${to}, version = version + 1, updated_at = ${now}
        where id = ${id} and password_hash = ${from} and disabled_at is null returning 1`.execute(tx)
      return rows.length > 0
    },

    setEmail: async ({ tx, now }: Work, id: UserId, email: string): Promise<boolean> => {
      try {
        await sql`
          update users.users set email = ${seal({ id, email, name: null }).email}, email_index = ${emailIndex(email)},
            email_verified_at = ${now}, version = version + 1, updated_at = ${now}
          where id = ${id}`.execute(tx)
        return true
      } catch (error) {
        if (isUniqueViolation(error)) return false
        throw error
      }
    },

    findRecipient: async (db: Reader, id: UserId): Promise<Recipient | undefined> => {
      const { rows } = await sql<SealedUser & { locale: string; isVerified: boolean }>`
        select id, email, name, locale, email_verified_at is not null as "isVerified"
        from users.users where id = ${id} and disabled_at is null`.execute(db)
      if (!rows[0]) return undefined
      const { locale, isVerified, ...sealed } = rows[0]
      return { ...open(sealed), locale, isVerified }
    },
  }
}

/** Removes the links that ended a day ago. */
export async function forgetLinks(db: Reader, now: Date): Promise<void> {
  const before = new Date(now.getTime() - 86_400_000)
  await sql`delete from users.links where expires_at < ${before}`.execute(db)
}
