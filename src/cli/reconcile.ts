import { Command, InvalidArgumentError } from 'commander'
import pc from 'picocolors'
import type { Reconciliation } from '#contexts/payments/index.ts'
import { makeBar } from './bar.ts'
import { withShop } from './connect.ts'
import { table } from './table.ts'

const DAY_MS = 86_400_000

export const command = new Command('reconcile')
  .description('compare the books with the payment providers, heal what can be healed; exit 1 when something is left')
  .option('--from <date>', 'payments made from this day on, such as 2026-11-01 (default: 35 days ago)', parseDay)
  .option('--before <date>', 'and before this one (default: now)', parseDay)
  .option('--json', 'the outcome as JSON')
  .action((options: { from?: Date; before?: Date; json?: boolean }) =>
    withShop(async (app) => {
      const before = options.before ?? new Date()
      const from = options.from ?? new Date(before.getTime() - 35 * DAY_MS)
      if (from >= before) throw new Error('--from must be before --before')
      const bar = makeBar('{value} payments compared')
      const outcome = await app.contexts.payments
        .reconcilePayments({ from, before }, (compared) => bar.show(compared, compared))
        .finally(bar.end)
      console.log(options.json ? JSON.stringify(outcome, null, 2) : report(outcome))
      if (outcome.open.length > 0) process.exitCode = 1
    }),
  )

/** The outcome for a person: what was healed, and what is left to them. */
function report({ compared, healed, open }: Reconciliation): string {
  const rows = [
    ...healed.map(({ subject, detail }) => [pc.green('healed'), subject, detail]),
    ...open.map(({ subject, detail }) => [pc.red('open'), subject, detail]),
  ]
  const verdict =
    open.length === 0 ? pc.green('Books and providers agree.') : pc.red(`${open.length} differences are left to you.`)
  return [...(rows.length > 0 ? [table(rows)] : []), `${compared} payments compared. ${verdict}`].join('\n')
}

function parseDay(text: string): Date {
  const day = new Date(text)
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(day.getTime()))
    throw new InvalidArgumentError('It must be a day or a time such as 2026-11-01 or 2026-11-01T08:00:00Z.')
  return day
}
