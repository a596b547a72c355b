import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { Command, Option } from 'commander'
import pc from 'picocolors'
import type { ImportUsersOutcome, UsersFormat } from '#contexts/users/index.ts'
import { systemActor } from '#platform/db/system.ts'
import type { App } from '../app.ts'
import { watchFile } from './bar.ts'
import { withShop } from './connect.ts'

const SHOWN = 20

type Flags = { dryRun?: boolean; json?: boolean; format?: UsersFormat }

export const command = new Command('migrate-users')
  .description('make customers of the people in a file of another system, with their password hashes')
  .argument('<file>', 'CSV with the names of its columns in the first row, or one JSON object on each line, in UTF-8')
  .option('--dry-run', 'read and compare everything, and save nothing')
  .addOption(new Option('--format <format>', "(default: by the file's name)").choices(['csv', 'ndjson']))
  .option('--json', 'print JSON')
  .action((file: string, { dryRun = false, json = false, format = formatOf(file) }: Flags) =>
    withShop(async (app) => {
      await access(file)
      const outcome = await importFile(app, file, format, dryRun)
      console.log(json ? JSON.stringify({ file, dryRun, ...outcome }, null, 2) : describe(file, outcome, dryRun))
      if (outcome.status === 'refused' || outcome.report.refused.length > 0) process.exitCode = 1
    }),
  )

const formatOf = (file: string): UsersFormat => (/\.(ndjson|jsonl|json)$/i.test(file) ? 'ndjson' : 'csv')

async function importFile(app: App, file: string, format: UsersFormat, dryRun: boolean): Promise<ImportUsersOutcome> {
  return watchFile(`${basename(file)}  {bar}  {value} of {total} people`, (watched) =>
    app.contexts.users.importUsers(
      { actor: systemActor, requestId: 'stoa migrate-users' },
      {
        source: { name: basename(file), bytes: () => createReadStream(file) },
        format,
        dryRun,
        ...watched,
      },
    ),
  )
}

/** What came of it, for people: counts, then the rows that were not taken; nothing that stands in one. */
function describe(file: string, outcome: ImportUsersOutcome, dryRun: boolean): string {
  if (outcome.status === 'refused') {
    const { row, column, detail } = outcome.problem
    const place = column === undefined ? `row ${row}` : `row ${row}, column ${column}`
    return `${pc.red('✗')} ${pc.bold(file)}: refused, nothing of it was imported\n  ${place}: ${detail}`
  }
  const { people, created, existing, withoutPassword, refused, otherColumns } = outcome.report
  const counts = [
    `${people} people`,
    `${created} ${dryRun ? 'to be created' : 'created'}`,
    `${existing} there already`,
    `${refused.length} refused`,
  ]
  const sign = refused.length > 0 ? pc.yellow('!') : pc.green('✓')
  const lines = refused
    .slice(0, SHOWN)
    .map(({ row, column, reason }) => `row ${row}${column ? `, ${column}` : ''}: ${reason}`)
  return [
    `${sign} ${pc.bold(file)}${dryRun ? ': a dry run, nothing was saved' : ''}`,
    `  ${counts.join(', ')}`,
    ...(withoutPassword > 0
      ? [`  ${withoutPassword} without a password: they have to reset it before they log in`]
      : []),
    ...(otherColumns.length > 0 ? [`  not read: ${otherColumns.join(', ')}`] : []),
    ...(refused.length > 0 ? [`  ${pc.yellow('refused')}`, ...lines.map((line) => `    ${line}`)] : []),
    ...(refused.length > SHOWN ? [pc.dim(`    … and ${refused.length - SHOWN} more: --json lists them`)] : []),
  ].join('\n')
}
