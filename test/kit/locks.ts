import { type RawBuilder, sql } from 'kysely'
import { expect } from 'vitest'

const WAITING = sql`select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`

/** Resolves when so many statements of the database wait for a lock; fails after ten seconds. */
export const areWaiting = (query: (text: RawBuilder<unknown>) => Promise<unknown[]>, count: number): Promise<void> =>
  expect.poll(() => query(WAITING), { timeout: 10_000 }).toHaveLength(count)
