import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Task as LibraryTask, parseCronItems, run, runOnce, type WorkerEvents } from 'graphile-worker'
import { makePump } from '#platform/jobs/pump.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { connectLibrary } from './connect.ts'
import { MAX_ATTEMPTS } from './queue.ts'
import type { Task } from './task.ts'
import { type Sign, showSignOfLife } from './unlock.ts'

/** What running jobs have before they are told to stop, and then to obey. */
const FINISH_MS = 5_000
const OBEY_MS = 2_000
const NEVER = new AbortController().signal

/** Runs a task at the minutes that match, like `17 3 * * *`, in UTC; never twice at once. */
export type Schedule = { readonly task: string; readonly match: string }

export type JobsOptions = {
  readonly url: string
  readonly tasks: Readonly<Record<string, Task>>
  readonly cron: readonly Schedule[]
  readonly log: Log
  /** Jobs at a time in this process. */
  readonly concurrency?: number
}

/**
 * Takes jobs from the queue and runs them until stopped; starts anew when the database was away. What a task throws is tried
 * again, 8 times in about half an hour; then the job is kept as failed. Stopping lets jobs end, then breaks them off.
 */
export async function startJobs(options: JobsOptions): Promise<{ stop(): Promise<void> }> {
  let worker: Worker | undefined
  const start = async () => {
    if (worker) return
    worker = await startWorker(options)
    void worker.ended.then(() => {
      worker = undefined
      pump.wake()
    })
  }
  const pump = makePump({ name: 'jobs', everyMs: 1_000, atLeastMs: 1_000, run: start, log: options.log })
  await start()
  pump.start()
  return {
    stop: async () => {
      await pump.stop()
      await worker?.stop()
    },
  }
}

/** Runs the jobs that are due, until none is left: for tests and short commands. */
export async function runDueJobs({ url, tasks, log }: Pick<JobsOptions, 'url' | 'tasks' | 'log'>): Promise<void> {
  const library = connectLibrary(url, 2, log)
  const taskList = Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, adapt(name, task, [], log)]))
  await runOnce({ ...library, noHandleSignals: true, taskList }).finally(() => library.pgPool.end())
}

type Worker = { readonly ended: Promise<void>; readonly stop: () => Promise<void> }

async function startWorker({ url, tasks, cron, log, concurrency = 4 }: JobsOptions): Promise<Worker> {
  const library = connectLibrary(url, concurrency + 2, log)
  const { pgPool } = library
  const interrupted: string[] = []
  const events: WorkerEvents = new EventEmitter()
  let id = ''
  let sign: Sign | undefined
  events.once('pool:create', ({ workerPool }) => {
    id = workerPool.id
    sign = showSignOfLife(url, id, log)
  })
  const runner = await run({
    ...library,
    events,
    concurrency,
    noHandleSignals: true,
    gracefulShutdownAbortTimeout: FINISH_MS,
    // Without these, a job whose end cannot be written is an unhandled rejection.
    preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    taskList: Object.fromEntries(
      Object.entries(tasks).map(([name, task]) => [name, adapt(name, task, interrupted, log)]),
    ),
    parsedCronItems: parseCronItems(cron.map(scheduled)),
  }).catch(async (error) => {
    await sign?.takeDown()
    await pgPool.end()
    throw error
  })

  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let closed: Promise<void> | undefined
  const close = () =>
    (closed ??= giveBack(pgPool, id, interrupted)
      .catch((error) => log.warn({ err: error }, 'could not give jobs back: another worker will unlock them'))
      .then(() => sign?.takeDown())
      .then(() => pgPool.end())
      .then(end))
  const stop = async () => {
    const stopped = runner.stop().catch((error) => log.warn({ err: error }, 'the worker for jobs did not stop cleanly'))
    await Promise.race([stopped, sleep(FINISH_MS + OBEY_MS, undefined, { ref: false })])
    await close()
  }
  runner.promise.catch((error) => log.error({ err: error }, 'the worker for jobs ended')).then(close)
  // A job that it was given, and never heard of, would wait for it for as long as it lives.
  events.once('worker:getJob:error', stop)
  return { ended, stop }
}

const adapt =
  (name: string, task: Task, interrupted: string[], log: Log): LibraryTask =>
  async (payload, { job, abortSignal }) => {
    const signal = abortSignal ?? NEVER
    try {
      await task(payload, { id: job.id, signal, log: log.child({ task: name, job: job.id }) })
    } catch (error) {
      if (signal.aborted) interrupted.push(job.id)
      throw error
    }
  }

/** A run waits in a queue of its own until the one before it has ended, and replaces one that still waits. */
const scheduled = ({ task, match }: Schedule) => ({
  task,
  match,
  options: { queueName: task, jobKey: task, maxAttempts: MAX_ATTEMPTS },
})

/** Lets others run at once what this worker did not end. An attempt that we broke off ourselves does not count. */
async function giveBack(pool: ReturnType<typeof connectLibrary>['pgPool'], workerId: string, interrupted: string[]) {
  await pool.query('select graphile_worker.force_unlock_workers(array[$1])', [workerId])
  await pool.query(
    `select graphile_worker.reschedule_jobs(array[id], run_at => now(), attempts => attempts - 1)
     from graphile_worker.jobs where id = any($1::bigint[])`,
    [interrupted],
  )
}
