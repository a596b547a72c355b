import { Command } from 'commander'
import { systemActor } from '#platform/db/system.ts'
import { failedJobs } from '#platform/jobs/queue.ts'
import { listDeadLetters, replayAll, replayDeadLetter } from '#platform/messaging/dead-letters.ts'
import type { App } from '../app.ts'
import { withShop } from './connect.ts'
import { table } from './table.ts'

const LISTED = 1_000
const asOperator = { actor: systemActor, requestId: 'stoa replay' }

export const command = new Command('replay')
  .description('list the events that a consumer gave up on; with an id or --all, give them back')
  .argument('[id]', 'as listed: <event>:<consumer>')
  .option('--all', 'all of them')
  .option('--json', 'print JSON')
  .action((id: string | undefined, options: { all?: boolean; json?: boolean }) =>
    withShop(async (app) => {
      const print = (value: object, lines: string) => console.log(options.json ? JSON.stringify(value, null, 2) : lines)
      if (!id && !options.all) return list(app, print)
      const replayed = id ? Number(await replayOne(app, id)) : await replayAll(app.perform, asOperator)
      print({ replayed }, `${replayed} given back; the running shop delivers within a second`)
      if (id && replayed === 0) process.exitCode = 1
    }),
  )

/** Parked events, and below them the jobs that failed for good: neither goes on without a person. */
async function list({ database }: App, print: (value: object, lines: string) => void): Promise<void> {
  const parked = await listDeadLetters(database.db, LISTED, { eventId: 0, consumer: '' })
  const failed = await failedJobs(database.db)
  const events = parked.map(({ id, type, subject, attempts, error }) => [id, type, subject, attempts, error])
  const jobs = failed.map(({ id, task, attempts, lastError }) => [id, task, attempts, lastError ?? ''])
  const blocks = [
    ...(events.length > 0 ? [table([['event', 'type', 'about', 'tries', 'error'], ...events])] : []),
    ...(jobs.length > 0 ? [table([['failed job', 'task', 'tries', 'error'], ...jobs])] : []),
  ]
  print({ parked, failedJobs: failed }, blocks.join('\n\n') || 'nothing is parked')
}

const replayOne = (app: App, id: string): Promise<boolean> => {
  const [eventId = '', consumer = ''] = id.split(':')
  return app.perform(asOperator, (work) => replayDeadLetter(work, Number(eventId) || 0, consumer))
}
