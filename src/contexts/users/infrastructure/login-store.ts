import { createHash } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { SessionId, UserId } from '#kernel/ids.ts'
import type { AuditEntry, Reader, Single } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { Attempt } from '../application/attempts.ts'
import type { Checked, Found, Who } from '../application/check-password.ts'
import type { ShownFactor } from '../domain/second-factor.ts'
import { sealsOf } from './seals.ts'

/** What a session's own failures are counted under. */
export const hashSessionId = (id: SessionId): Buffer => createHash('sha256').update(`session:${id}`).digest()

type AccountRow = {
  readonly id: UserId | null
  readonly emailIndex: Buffer | null
  readonly passwordHash: string
  readonly disabled: boolean
  readonly secret: Buffer | null
  readonly decoyHash: string | null
  readonly failures: number
  readonly knownFailures: number
}

/** SQL that checks who logs in, and counts who failed to. */
export function loginStore(encryption: Encryption) {
  const { emailIndex, openSecret } = sealsOf(encryption)
  return {
    /** What is known under an e-mail or id, account or none; one statement. */
    findAccount: async (db: Reader, who: Who, knownBy: Buffer | undefined): Promise<Found> => {
      const asked = 'email' in who ? emailIndex(who.email) : null
      const isTheirs = 'userId' in who ? sql`u.id = ${who.userId}` : sql`u.email_index = asked.key`
      const { rows } = await sql<AccountRow>`
        select u.id, u.email_index as "emailIndex", u.password_hash as "passwordHash",
          u.disabled_at is not null as disabled, f.secret,
          (select password_hash from users.users where email_index > asked.key order by email_index limit 1) as "decoyHash",
          coalesce((select failures from users.failed_logins where key = coalesce(u.email_index, asked.key)), 0) as failures,
          coalesce((select failures from users.failed_logins where key = ${knownBy ?? null}::bytea), 0) as "knownFailures"
        from (select ${asked}::bytea as key) asked
          left join users.users u on ${isTheirs}
          left join users.second_factors f on f.user_id = u.id`.execute(db)
      const { id, secret, decoyHash, failures, knownFailures, ...row } = rows[0] as AccountRow
      return {
        index: row.emailIndex ?? asked ?? Buffer.alloc(32),
        account: id === null ? undefined : { ...row, id, totpSecret: secret && openSecret(id, secret) },
        decoyHash: decoyHash ?? undefined,
        failures,
        knownFailures,
      }
    },

    recordFailure: async (single: Single, key: Buffer | undefined, entry: AuditEntry): Promise<void> => {
      await sql`
        with counted as (
          insert into users.failed_logins as known (key, failures, last_at)
          select ${key ?? null}::bytea, 1, ${single.now}::timestamptz where ${key !== undefined}
          on conflict (key) do update set failures = known.failures + 1, last_at = excluded.last_at),
        audited as (${single.auditing([entry])})
        select 1`.execute(single.db)
    },
  }
}

/** Removes what was counted for e-mails without an account, and for devices and sessions that are long forgotten. */
export async function forgetFailures(db: Reader, now: Date): Promise<void> {
  const since = new Date(now.getTime() - 90 * 86_400_000)
  await sql`
    delete from users.failed_logins where last_at < ${since}
      and not exists (select from users.users where email_index = key)`.execute(db)
}

/** The parts of a statement that let `person` (the account as it was checked) through as `proved`, and use up the factor shown. */
export const provedParts = (single: Single, checked: Checked): RawBuilder<unknown> => sql`
  person as (
    select u.id, u.email, u.name, u.locale, u.roles, u.disabled_at, u.email_verified_at, u.created_at from users.users u
    where u.id = ${checked.userId} and u.password_hash = ${checked.passwordHash} and u.disabled_at is null
      and not exists (select from users.failed_logins
        where key = ${checked.attempt.key} and failures >= ${checked.attempt.maxFailures})
    for share of u),
  proved as (${usedFactor(checked.factor, single.now)}),
  forgiven as (${forgive(checked.attempt)})`

/** Of two who show the same at once, the second waits for the row, and then finds it used. */
function usedFactor(factor: ShownFactor | null, now: Date): RawBuilder<unknown> {
  if (factor === null)
    return sql`
      select id as user_id from person
      where not exists (select from users.second_factors where user_id = id and confirmed_at is not null)`
  if (factor.kind === 'totp')
    return sql`
      update users.second_factors f set last_step = ${factor.step} from person
      where f.user_id = person.id and f.confirmed_at is not null and f.last_step < ${factor.step}
      returning f.user_id`
  return sql`
    update users.recovery_codes c set used_at = ${now} from person
    where c.user_id = person.id and c.hash = ${factor.hash} and c.used_at is null
    returning c.user_id`
}

const forgive = ({ forgives }: Attempt) => sql`
  delete from users.failed_logins
  where key = any(${forgives}::bytea[]) and exists (select from proved)`
