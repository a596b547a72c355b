import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { openDatabase } from '#platform/db/pool.ts'
import { type JobsOptions, startJobs } from '#platform/jobs/jobs.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'
import { addJobs, failedJobs, jobCounts, jobMeasures, type NewJob } from '#platform/jobs/queue.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'

const log = makeLog({ level: 'silent' })
const started: { stop(): Promise<void> }[] = []
let place: TestDatabase
let owner: pg.Client
let database: ReturnType<typeof openDatabase>

beforeAll(async () => {
  place = await testDatabase()
  owner = new pg.Client({ connectionString: place.ownerUrl })
  await owner.connect()
  database = openDatabase({ url: place.url, maxConnections: 2, connectTimeoutMs: 5_000, onIdleError: () => {} })
})
beforeEach(async () => {
  await owner.query('drop schema if exists graphile_worker cascade')
  await migrateJobs(place.ownerUrl)
})
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(started.splice(0).map((jobs) => jobs.stop()))
})
afterAll(async () => {
  await database.close()
  await owner.end()
  await place.drop()
})

async function start(options: Partial<JobsOptions>): Promise<{ stop(): Promise<void> }> {
  const jobs = await startJobs({ url: place.url, tasks: {}, cron: [], log, ...options })
  started.push(jobs)
  return jobs
}
const add = (...jobs: NewJob[]) => database.db.transaction().execute((tx) => addJobs(tx, jobs))
const counts = () => jobCounts(database.db)
const none = { waiting: 0, running: 0, failed: 0 }
const untilDone = () => vi.waitFor(async () => expect(await counts()).toEqual(none), { timeout: 5_000 })

test('several processes may install the queue at once, and another role than its owner uses it', async () => {
  await owner.query('drop schema graphile_worker cascade')
  await Promise.all([1, 2, 3, 4].map(() => migrateJobs(place.ownerUrl)))
  const greet = vi.fn(async () => {})
  await start({ tasks: { greet } })
  await add({ task: 'greet', payload: { name: 'Ada' } })
  await untilDone()
  expect(greet).toHaveBeenCalledExactlyOnceWith({ name: 'Ada' }, expect.objectContaining({ id: expect.any(String) }))
})

test('one role that owns and runs all works too', async () => {
  const greet = vi.fn(async () => {})
  await start({ url: place.ownerUrl, tasks: { greet } })
  await add({ task: 'greet', payload: {} })
  await untilDone()
  expect(greet).toHaveBeenCalledOnce()
})

test('the service can read the version of the queue but not change it', async () => {
  const app = new pg.Client({ connectionString: place.url })
  await app.connect()
  await app.query('select max(id) from graphile_worker.migrations')
  await expect(app.query('delete from graphile_worker.migrations')).rejects.toThrow('permission denied')
  await app.end()
})

test('jobs are queued with their transaction or not at all', async () => {
  const failing = database.db.transaction().execute(async (tx) => {
    await addJobs(tx, [{ task: 'greet', payload: {} }])
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await counts()).toEqual(none)
  await add()
  expect(await counts()).toEqual(none)
})

test('of jobs with one key, the latest stays', async () => {
  const job = (n: number): NewJob => ({ task: 'index', payload: { n }, key: 'product' })
  await add(job(1), job(2))
  await add(job(3), { task: 'index', payload: { n: 4 } }, { task: 'index', payload: { n: 5 } })
  expect(await counts()).toEqual({ ...none, waiting: 3 })
  const seen: unknown[] = []
  await start({ tasks: { index: async (payload) => void seen.push(payload) } })
  await untilDone()
  expect(seen).toHaveLength(3)
  expect(seen).toEqual(expect.arrayContaining([{ n: 3 }, { n: 4 }, { n: 5 }]))
})

test('a job waits for its time', async () => {
  const index = vi.fn(async () => {})
  await start({ tasks: { index } })
  await add({ task: 'index', payload: {}, runAt: new Date(Date.now() + 3_600_000) })
  await sleep(200)
  expect(index).not.toHaveBeenCalled()
  expect(await counts()).toEqual({ ...none, waiting: 1 })
})

test('a job that fails is tried again, and after its eighth attempt kept for an operator', async () => {
  await start({ tasks: { refund: () => Promise.reject(new Error('card network down')) } })
  await add({ task: 'refund', payload: { refundId: 'rfnd_1' } })
  await vi.waitFor(async () => {
    const { rows } = await owner.query(
      'select attempts, run_at > now() as later from graphile_worker.jobs where locked_at is null',
    )
    expect(rows).toEqual([{ attempts: 1, later: true }])
  })
  expect(await counts()).toEqual({ ...none, waiting: 1 })
  await owner.query('update graphile_worker._private_jobs set attempts = 7, run_at = now()')
  await vi.waitFor(async () => expect(await counts()).toEqual({ ...none, failed: 1 }), { timeout: 5_000 })
  expect(await jobMeasures(database.db)[0]!.read()).toContainEqual({ labels: { state: 'failed' }, value: 1 })
  expect(await failedJobs(database.db)).toEqual([
    {
      id: expect.any(String),
      task: 'refund',
      payload: { refundId: 'rfnd_1' },
      attempts: 8,
      lastError: 'card network down',
      failedAt: expect.any(Date),
    },
  ])
})

test('a schedule queues its task once per minute that matches, however many processes run', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01T09:59:59.900Z') })
  const sweep = vi.fn(async () => {})
  const options = { tasks: { sweep }, cron: [{ task: 'sweep', match: '0 10 * * *' }] }
  await Promise.all([start(options), start(options)])
  vi.setSystemTime(new Date('2026-01-01T10:00:00.005Z'))
  await vi.waitFor(() => expect(sweep).toHaveBeenCalled(), { timeout: 5_000 })
  await sleep(300)
  expect(sweep).toHaveBeenCalledOnce()
})

test('stopping breaks off what does not end in time, and gives it back to be run at once', async () => {
  const jobs = await start({
    tasks: {
      obeys: (_payload, { signal }) => sleep(60_000, undefined, { signal }),
      ignores: () => new Promise(() => {}),
    },
  })
  await add({ task: 'obeys', payload: {} }, { task: 'ignores', payload: {} })
  await vi.waitFor(async () => expect(await counts()).toEqual({ ...none, running: 2 }))
  await jobs.stop()
  started.length = 0
  const { rows } = await owner.query(
    'select task_identifier as task, attempts, run_at <= now() as due from graphile_worker.jobs where locked_at is null order by 1',
  )
  expect(rows).toEqual([
    { task: 'ignores', attempts: 1, due: true },
    { task: 'obeys', attempts: 0, due: true },
  ])
})

test('a worker that cannot note a job as done starts anew and runs it again', async () => {
  let runs = 0
  await start({
    tasks: {
      charge: async () => {
        runs += 1
        await owner.query(
          runs === 1
            ? 'revoke delete on graphile_worker._private_jobs from stoa_app'
            : 'grant delete on graphile_worker._private_jobs to stoa_app',
        )
      },
    },
  })
  await add({ task: 'charge', payload: {} })
  await vi.waitFor(async () => expect(await counts()).toEqual(none), { timeout: 15_000 })
  expect(runs).toBe(2)
})
