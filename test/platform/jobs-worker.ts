import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startJobs } from '#platform/jobs/jobs.ts'
import { makeLog } from '#platform/telemetry/log.ts'

/** A worker process whose job `slow` writes down when it starts and ends. Run as: node jobs-worker.ts URL NAME */
const [url, name] = process.argv.slice(2) as [string, string]
const pool = new pg.Pool({ connectionString: url, max: 2 })
pool.on('error', () => {})
const note = (what: string) => pool.query('insert into runs (worker, what) values ($1, $2)', [name, what])

const jobs = await startJobs({
  url,
  log: makeLog({ level: 'warn', sync: true }),
  cron: [],
  tasks: {
    slow: async (payload, { signal }) => {
      await note('started')
      await sleep((payload as { ms: number }).ms, undefined, { signal })
      await note('ended')
    },
  },
})
process.once('SIGTERM', () => jobs.stop().then(() => process.exit(0)))
console.log('ready')
