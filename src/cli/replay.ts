import { Command } from 'commander'
import { systemActor } from '#platform/db/system.ts'
import { listDeadLetters, replayAll, replayDeadLetter } from '#platform/messaging/dead-letters.ts'
import type { App } from '../app.ts'
import { withShop } from './connect.ts'

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

async function list({ database }: App, print: (value: object, lines: string) => void): Promise<void> {
  const parked = await listDeadLetters(database.db, LISTED, { eventId: 0, consumer: '' })
  const lines = parked.map(
    ({ id, type, subject, attempts, error }) => `${id}  ${type}  ${subject}  ×${attempts}  ${error}`,
  )
  print({ parked }, lines.length > 0 ? lines.join('\n') : 'nothing is parked')
}

const replayOne = (app: App, id: string): Promise<boolean> => {
  const [eventId = '', consumer = ''] = id.split(':')
  return app.perform(asOperator, (work) => replayDeadLetter(work, Number(eventId) || 0, consumer))
}
