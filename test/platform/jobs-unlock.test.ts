import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { openDatabase } from '#platform/db/pool.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'
import { addJobs, jobCounts } from '#platform/jobs/queue.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'

const RERUN_MS = 15_000
const program = fileURLToPath(new URL('jobs-worker.ts', import.meta.url))
const workers: ChildProcess[] = []
let place: TestDatabase
let owner: pg.Client
let database: ReturnType<typeof openDatabase>

beforeAll(async () => {
  place = await testDatabase()
  await migrateJobs(place.ownerUrl)
  owner = new pg.Client({ connectionString: place.ownerUrl })
  await owner.connect()
  await owner.query(`
    create table runs (worker text, what text, at timestamptz default clock_timestamp());
    grant usage on schema public to stoa_app; grant insert on runs to stoa_app`)
  database = openDatabase({ url: place.url, maxConnections: 2, connectTimeoutMs: 5_000, onIdleError: () => {} })
})
afterEach(async () => {
  for (const worker of workers.splice(0)) worker.kill('SIGKILL')
  await owner.query('truncate runs')
})
afterAll(async () => {
  await database.close()
  await owner.end()
  await place.drop()
})

async function startWorker(name: string): Promise<ChildProcess> {
  const worker = spawn(process.execPath, [program, place.url, name], { stdio: ['ignore', 'pipe', 'inherit'] })
  workers.push(worker)
  await once(worker.stdout!, 'data')
  return worker
}

const addSlowJob = (ms: number) =>
  database.db.transaction().execute((tx) => addJobs(tx, [{ task: 'slow', payload: { ms } }]))

async function runs(): Promise<string[]> {
  const { rows } = await owner.query<{ run: string }>(`select worker || ' ' || what as run from runs order by at`)
  return rows.map(({ run }) => run)
}
const untilRuns = (expected: string[], ms: number) =>
  vi.waitFor(async () => expect(await runs()).toEqual(expected), { timeout: ms, interval: 50 })

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'a job whose worker got %s in its middle is run again soon',
  async (signal) => {
    const first = await startWorker('first')
    await addSlowJob(8_000)
    await untilRuns(['first started'], 5_000)
    first.kill(signal)
    await startWorker('second')
    await untilRuns(['first started', 'second started'], RERUN_MS)
    await untilRuns(['first started', 'second started', 'second ended'], 15_000)
    await vi.waitFor(async () => expect(await jobCounts(database.db)).toEqual({ waiting: 0, running: 0, failed: 0 }))
  },
  60_000,
)

test('a job that ends in time is not run again when its worker is told to stop', async () => {
  const first = await startWorker('first')
  await addSlowJob(2_000)
  await untilRuns(['first started'], 5_000)
  first.kill('SIGTERM')
  const [code] = await once(first, 'exit')
  expect(code).toBe(0)
  expect(await runs()).toEqual(['first started', 'first ended'])
  expect(await jobCounts(database.db)).toEqual({ waiting: 0, running: 0, failed: 0 })
})

test('the long job of a live worker is left to it, also when its sign of life breaks and comes back', async () => {
  await startWorker('first')
  await addSlowJob(10_000)
  await untilRuns(['first started'], 5_000)
  await vi.waitFor(async () => {
    const { rows } = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'stoa worker' and datname = current_database()`.execute(database.db)
    expect(rows).toHaveLength(1)
  })
  await startWorker('second')
  await untilRuns(['first started', 'first ended'], 20_000)
}, 60_000)
