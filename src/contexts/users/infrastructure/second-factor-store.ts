import { sql } from 'kysely'
import type { SessionId, UserId } from '#kernel/ids.ts'
import type { AuditEntry, Reader, Single, Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { Checked } from '../application/check-password.ts'
import type { Confirmed } from '../application/confirm-totp.ts'
import type { SecondFactor } from '../application/second-factor.ts'
import { provedParts } from './login-store.ts'
import { sealsOf } from './seals.ts'

type FactorRow = { readonly secret: Buffer | null; readonly nextSecret: Buffer | null; readonly email: Buffer }

/** SQL that changes second factors and recovery codes; each change is one statement with its audit rows. */
export function secondFactorStore(encryption: Encryption) {
  const { openEmail, sealSecret, openSecret, sealNextSecret, openNextSecret } = sealsOf(encryption)
  return {
    findSecondFactor: async (db: Reader, userId: UserId): Promise<SecondFactor> => {
      const { rows } = await sql<FactorRow>`
        select u.email, f.secret, f.next_secret as "nextSecret"
        from users.users u left join users.second_factors f on f.user_id = u.id where u.id = ${userId}`.execute(db)
      const { email, secret, nextSecret } = rows[0] as FactorRow
      return {
        email: openEmail(userId, email),
        secret: secret && openSecret(userId, secret),
        nextSecret: nextSecret && openNextSecret(userId, nextSecret),
      }
    },

    saveNextSecret: async ({ db, now }: Single, userId: UserId, secret: string): Promise<void> => {
      await sql`
        insert into users.second_factors (user_id, next_secret, created_at)
        values (${userId}, ${sealNextSecret(userId, secret)}, ${now})
        on conflict (user_id) do update set next_secret = excluded.next_secret`.execute(db)
    },

    confirmSecret: async (
      single: Single,
      { userId, sessionId, secret, step }: Confirmed,
      codes: readonly Buffer[],
      audited: readonly AuditEntry[],
    ): Promise<boolean> => {
      const { rows } = await sql`
        with confirmed as (
          update users.second_factors
          set secret = ${sealSecret(userId, secret)}, next_secret = null, confirmed_at = ${single.now}, last_step = ${step}
          where user_id = ${userId} and next_secret is not null returning user_id),
        forgotten as (delete from users.recovery_codes c using confirmed where c.user_id = confirmed.user_id),
        codes as (
          insert into users.recovery_codes (user_id, hash)
          select user_id, hash from confirmed, unnest(${codes}::bytea[]) as hash),
        marked as (
          update users.sessions s set second_factor_at = ${single.now} from confirmed
          where s.id = ${sessionId} and s.user_id = confirmed.user_id),
        audited as (${single.auditing(audited, sql`exists (select from confirmed)`)})
        select user_id from confirmed`.execute(single.db)
      return rows.length > 0
    },

    /** Locks the factor first, so that of two new sets at once one is void. */
    replaceRecoveryCodes: async ({ tx }: Work, userId: UserId, codes: readonly Buffer[]): Promise<void> => {
      await sql`select user_id from users.second_factors where user_id = ${userId} for update`.execute(tx)
      await sql`
        with forgotten as (delete from users.recovery_codes where user_id = ${userId})
        insert into users.recovery_codes (user_id, hash)
        select ${userId}, hash from unnest(${codes}::bytea[]) as hash`.execute(tx)
    },

    removeSecondFactor: async (single: Single, userId: UserId, audited: readonly AuditEntry[]): Promise<void> => {
      await sql`
        with factor as (delete from users.second_factors where user_id = ${userId} returning confirmed_at),
        codes as (delete from users.recovery_codes where user_id = ${userId}),
        audited as (${single.auditing(audited, sql`exists (select from factor where confirmed_at is not null)`)})
        select 1`.execute(single.db)
    },

    renewSession: async (
      single: Single,
      sessionId: SessionId,
      checked: Checked,
      audited: readonly AuditEntry[],
    ): Promise<boolean> => {
      const { now, db } = single
      const { rows } = await sql`
        with ${provedParts(single, checked)},
        renewed as (
          update users.sessions s set authenticated_at = ${now},
            second_factor_at = case when ${checked.factor !== null} then ${now}::timestamptz else s.second_factor_at end
          from proved where s.id = ${sessionId} and s.user_id = proved.user_id and s.revoked_at is null returning s.id),
        audited as (${single.auditing(audited, sql`exists (select from renewed)`)})
        select id from renewed`.execute(db)
      return rows.length > 0
    },
  }
}

/** SQL that reads whether somebody has a second factor, and how many recovery codes are left. */
export async function readSecondFactor(
  db: Reader,
  userId: UserId,
): Promise<{ totp: boolean; recoveryCodesLeft: number }> {
  const { rows } = await sql<{ totp: boolean; recoveryCodesLeft: number }>`
    select exists (select from users.second_factors where user_id = ${userId} and confirmed_at is not null) as totp,
      (select count(*)::integer from users.recovery_codes where user_id = ${userId} and used_at is null) as "recoveryCodesLeft"`.execute(
    db,
  )
  return rows[0] as { totp: boolean; recoveryCodesLeft: number }
}
