import { sql } from 'kysely'
import type { Oracle, Violation } from './oracle.ts'

/** O13: nobody holds two live refresh tokens of one session, or one of a session that was revoked. */
export const sessionOracles: readonly Oracle[] = [
  {
    id: 'O13',
    claim: 'At most one live refresh token per family; none in a revoked family',
    violations: () => sql<Violation>`
      select t.session_id as subject,
        format('%s live refresh tokens, revoked %s', count(*), coalesce(s.revoked_at::text, 'never')) as detail
      from users.refresh_tokens t join users.sessions s on s.id = t.session_id
      where t.used_at is null
      group by t.session_id, s.revoked_at having count(*) > 1 or s.revoked_at is not null`,
  },
]
