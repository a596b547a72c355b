import { Command } from 'commander'
import { systemActor } from '#platform/db/system.ts'
import { failedJobs } from '#platform/jobs/queue.ts'
import { listDeadLetters, replayAll, replayDeadLetter } from '#platform/messaging/dead-letters.ts'
import type { App } from '../app.ts'
import { withShop } from './connect.ts'
import { table } from './table.ts'

const LISTED = 1_000
const WEBHOOK = 'webhook:'
const asOperator = { actor: systemActor, requestId: 'stoa replay' }

export const command = new Command('replay')
  .description(
    'list the events and the webhooks of payment providers that were given up; with an id or --all, try again',
  )
  .argument('[id]', 'as listed: <event>:<consumer>, or webhook:<id>, parked or done')
  .option('--all', 'all that are parked')
  .option('--json', 'print JSON')
  .action((id: string | undefined, options: { all?: boolean; json?: boolean }) =>
    withShop(async (app) => {
      const print = (value: object, lines: string) => console.log(options.json ? JSON.stringify(value, null, 2) : lines)
      if (!id && !options.all) return list(app, print)
      const replayed = id ? await replayOne(app, id) : await replayParked(app)
      print({ replayed }, `${replayed} given back; the running shop takes them within a second`)
      if (id && replayed === 0) process.exitCode = 1
    }),
  )

/** Parked events and webhooks, and below them the jobs that failed for good: none goes on without a person. */
async function list({ database: { db }, contexts }: App, print: (value: object, lines: string) => void): Promise<void> {
  const parked = await listDeadLetters(db, LISTED, { eventId: 0, consumer: '' })
  const { data: webhooks } = await contexts.payments.webhooks.list(db, { status: 'parked', limit: LISTED })
  const failed = await failedJobs(db)
  const blocks = [
    block(
      ['event', 'type', 'about', 'tries', 'error'],
      parked.map(({ id, type, subject, attempts, error }) => [id, type, subject, attempts, error]),
    ),
    block(
      ['webhook', 'type', 'about', 'tries', 'error'],
      webhooks.map(({ id, type, providerPaymentId, tries, lastError }) => [
        `${WEBHOOK}${id}`,
        type,
        providerPaymentId ?? '',
        tries,
        lastError ?? '',
      ]),
    ),
    block(
      ['failed job', 'task', 'tries', 'error'],
      failed.map(({ id, task, attempts, lastError }) => [id, task, attempts, lastError ?? '']),
    ),
  ]
  print({ parked, webhooks, failedJobs: failed }, blocks.filter(Boolean).join('\n\n') || 'nothing is parked')
}

const block = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  rows.length > 0 ? table([head, ...rows]) : ''

async function replayOne(app: App, id: string): Promise<number> {
  if (id.startsWith(WEBHOOK)) {
    const number = Number(id.slice(WEBHOOK.length)) || 0
    await app.perform(asOperator, (work) => app.contexts.payments.webhooks.replayWebhook(work, number))
    return 1
  }
  const [eventId = '', consumer = ''] = id.split(':')
  return Number(await app.perform(asOperator, (work) => replayDeadLetter(work, Number(eventId) || 0, consumer)))
}

const replayParked = async ({ perform, contexts: { payments } }: App): Promise<number> =>
  (await replayAll(perform, asOperator)) + (await perform(asOperator, payments.webhooks.replayParked))
