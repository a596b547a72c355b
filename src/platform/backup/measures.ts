import { sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'

/** What the audit log calls a backup. */
export const BACKED_UP = 'backups.save'

/** How old the newest backup is that was restored to see that it does; no number before the first. */
export const backupMeasures = (db: Reader, clock: Clock): Measure[] => [
  {
    name: 'stoa_backup_age_seconds',
    help: 'Seconds since the last `stoa backup` that restored',
    read: async () => {
      const { rows } = await sql<{ takenAt: Date }>`
        select (after->>'takenAt')::timestamptz as "takenAt" from platform.audit_log
        where action = ${BACKED_UP} and (after->>'restored')::boolean order by id desc limit 1`.execute(db)
      return rows.map(({ takenAt }) => ({ value: (clock().getTime() - takenAt.getTime()) / 1_000 }))
    },
  },
]
