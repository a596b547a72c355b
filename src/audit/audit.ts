import { type Kysely, sql } from 'kysely'
import { type Consumers, eventOracles } from './events.ts'
import { historyOracles } from './history.ts'
import { moneyOracles } from './money.ts'
import type { Oracle, Violation } from './oracle.ts'
import { sessionOracles } from './sessions.ts'
import { stockOracles } from './stock.ts'

export type Finding = {
  readonly id: string
  readonly claim: string
  readonly violations: readonly Violation[]
  readonly elapsedMs: number
}

/** What is younger than this may still be on its way, and is left out unless everything is asked for. */
const SETTLE_MS = 30_000

/** Every oracle that SQL can answer, in the order of the list of promises. */
export const oraclesFor = (consumers: Consumers): readonly Oracle[] =>
  [...stockOracles, ...moneyOracles, ...eventOracles(consumers), ...historyOracles, ...sessionOracles].sort(
    (a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)),
  )

/**
 * Holds the books against every oracle, in one read-only REPEATABLE READ snapshot of the live database. `all` also
 * looks at what is younger than 30 s: for a shop that has come to rest.
 */
export async function audit(
  db: Kysely<{}>,
  options: { consumers: Consumers; now: Date; all: boolean },
): Promise<Finding[]> {
  const before = new Date(options.now.getTime() - (options.all ? 0 : SETTLE_MS))
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      await sql`set local statement_timeout = '10min'`.execute(tx)
      const findings: Finding[] = []
      for (const { id, claim, violations } of oraclesFor(options.consumers)) {
        const start = performance.now()
        const { rows } = await violations({ before }).execute(tx)
        findings.push({ id, claim, violations: rows, elapsedMs: Math.round(performance.now() - start) })
      }
      return findings
    })
}
