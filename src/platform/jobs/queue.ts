import { sql, type Transaction } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'

export const MAX_ATTEMPTS = 8

export type NewJob = {
  readonly task: string
  /** Ids and amounts, never personal data. */
  readonly payload: Readonly<Record<string, unknown>>
  /** A waiting job with this key is replaced; beside a running one, a new one is queued: it may have read the old state. */
  readonly key?: string
  readonly runAt?: Date
}

/**
 * Queues jobs in this transaction with one statement. It notifies, which makes committers wait for each other: call it once
 * per batch from a reaction or a job, never from a request's transaction.
 */
export async function addJobs(tx: Transaction<{}>, jobs: readonly NewJob[]): Promise<void> {
  if (jobs.length === 0) return
  const latest = new Map(jobs.map((job) => [job.key ?? job, job]))
  const specs = [...latest.values()].map(({ task, payload, key, runAt }) => {
    return { identifier: task, payload, job_key: key, run_at: runAt, max_attempts: MAX_ATTEMPTS }
  })
  await sql`
    select count(*) from graphile_worker.add_jobs(array(
      select json_populate_recordset(null::graphile_worker.job_spec, ${JSON.stringify(specs)}::json)
    ))`.execute(tx)
}

export type JobCounts = { readonly waiting: number; readonly running: number; readonly failed: number }

/** Jobs waiting (for their time, a worker, or their next try), running, and failed for good. */
export async function jobCounts(reader: Reader): Promise<JobCounts> {
  const { rows } = await sql<JobCounts>`
    select
      count(*) filter (where locked_at is null and attempts < max_attempts)::int as waiting,
      count(*) filter (where locked_at is not null)::int as running,
      count(*) filter (where locked_at is null and attempts >= max_attempts)::int as failed
    from graphile_worker.jobs`.execute(reader)
  return rows[0]!
}

/** The same as a number per state, for `/metrics`. */
export const jobMeasures = (db: Reader): Measure[] => [
  {
    name: 'stoa_jobs',
    help: 'Background jobs by state: those that failed for good wait for an operator',
    labels: ['state'],
    read: async () => Object.entries(await jobCounts(db)).map(([state, value]) => ({ labels: { state }, value })),
  },
]

export type FailedJob = {
  readonly id: string
  readonly task: string
  readonly payload: unknown
  readonly attempts: number
  /** Null when its worker died in the last attempt. */
  readonly lastError: string | null
  readonly failedAt: Date
}

/** Jobs that failed for good and wait for an operator, latest first, at most 100. */
export async function failedJobs(reader: Reader): Promise<FailedJob[]> {
  const { rows } = await sql<FailedJob>`
    select jobs.id::text, jobs.task_identifier as task, stored.payload, jobs.attempts,
      jobs.last_error as "lastError", jobs.updated_at as "failedAt"
    from graphile_worker.jobs join graphile_worker._private_jobs stored using (id)
    where jobs.locked_at is null and jobs.attempts >= jobs.max_attempts
    order by jobs.id desc limit 100`.execute(reader)
  return rows
}
