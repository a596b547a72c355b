import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

type Query = (text: string) => Promise<any[]>

const LOOK_EVERY_MS = 300

/**
 * Waits until nothing of payments and events is under way, and so many of whatever else is owed are none: webhooks of a
 * provider, jobs. Fails after that time.
 */
export async function comeToRest(query: Query, timeoutMs: number, owed: () => Promise<number>): Promise<void> {
  for (const until = Date.now() + timeoutMs; ; await pause(LOOK_EVERY_MS)) {
    const [under] = await query(UNDER_WAY)
    const still = { ...under, owed: await owed() }
    if (Object.values(still).every((count) => Number(count) === 0)) return
    if (Date.now() > until) throw new Error(`Still under way: ${JSON.stringify([still, ...(await query(STUCK))])}`)
  }
}

/** The same for a shop with this database, jobs too, asked as the owner of its tables. */
export async function shopComesToRest(ownerUrl: string, timeoutMs: number): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  const query: Query = async (text) => (await client.query(text)).rows
  await comeToRest(query, timeoutMs, () => jobsLeft(query)).finally(() => client.end())
}

const UNDER_WAY = `
  select (select count(*) from payments.attempts where lease_until is not null) as attempts,
    (select count(*) from payments.refunds where lease_until is not null) as refunds,
    (select count(*) from payments.capture_requests where lease_until is not null) as captures,
    (select count(*) from payments.inbox where due_at is not null) as webhooks,
    (select count(*) from payments.payments where close_at is not null) as closings,
    (select count(*) from platform.events where published_at is null) as events`

/** What failed again and again, and why. */
const STUCK = `
  select id, tries, last_error from payments.refunds where lease_until is not null
  union all select id, tries, last_error from payments.capture_requests where lease_until is not null
  union all select task_identifier, attempts, last_error from graphile_worker.jobs
  limit 5`

/**
 * Jobs that wait or run, mails among them. Those that wait for their next try are made due: the clock of PostgreSQL, by which
 * they wait, is not moved with the shop's.
 */
export async function jobsLeft(query: Query): Promise<number> {
  await query('update graphile_worker._private_jobs set run_at = now() where locked_at is null and run_at > now()')
  return Number((await query('select count(*) from graphile_worker.jobs where attempts < max_attempts'))[0].count)
}
