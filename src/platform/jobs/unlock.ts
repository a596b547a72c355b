import type pg from 'pg'
import { WatchedClient } from '#platform/db/watched-client.ts'
import { makePump } from '#platform/jobs/pump.ts'
import type { Log } from '#platform/telemetry/log.ts'

const SWEEP_MS = 4_000
/** A worker that lost its connection (PostgreSQL restarted) has one sweep's time to take its lock again. */
const RECONNECT_MS = 1_000
/** The server notices in about 9 s that the machine of a worker is gone; of a process that died it knows at once. */
const NOTICE_LOST_HOSTS = 'set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 2'

export type Sign = { readonly takeDown: () => Promise<void> }

/**
 * Holds a session lock as a worker's sign of life, on a connection of its own that it reopens when it breaks, and unlocks
 * the jobs of workers that were without theirs in two sweeps on end. `workerId` is what `locked_by` says.
 */
export function showSignOfLife(url: string, workerId: string, log: Log): Sign {
  let client: pg.Client | undefined
  let suspects: string[] = []

  const lose = () => {
    void client?.end().catch(() => {})
    client = undefined
    suspects = []
    pump.wake()
  }
  const connect = async () => {
    const made = new WatchedClient({ connectionString: url, application_name: 'stoa worker' })
    client = made
    made.on('error', () => client === made && lose())
    await made.connect()
    await made.query(NOTICE_LOST_HOSTS)
    await made.query('select pg_advisory_lock(hashtextextended($1, 0))', [workerId])
    return made
  }
  const run = async () => {
    try {
      suspects = await unlockDead(client ?? (await connect()), workerId, suspects, log)
    } catch (error) {
      lose()
      throw error
    }
  }
  const pump = makePump({ name: 'dead workers', everyMs: SWEEP_MS, atLeastMs: RECONNECT_MS, run, log })
  pump.start()
  return {
    takeDown: async () => {
      await pump.stop()
      await client?.end().catch(() => {})
    },
  }
}

/** Unlocks the jobs of those suspects whose lock is still free; answers whose lock is free now. */
async function unlockDead(client: pg.Client, workerId: string, suspects: string[], log: Log): Promise<string[]> {
  const { rows } = await client.query<{ worker: string }>(
    `select distinct locked_by as worker from graphile_worker.jobs
     where locked_by <> $1 and pg_try_advisory_xact_lock_shared(hashtextextended(locked_by, 0))`,
    [workerId],
  )
  const free = rows.map(({ worker }) => worker)
  const dead = free.filter((worker) => suspects.includes(worker))
  if (dead.length > 0) {
    await client.query('select graphile_worker.force_unlock_workers($1)', [dead])
    log.warn({ workers: dead }, 'unlocked the jobs of dead workers')
  }
  return free
}
