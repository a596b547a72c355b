import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { ImportOptions, ImportOutcome } from '#contexts/catalog/index.ts'
import { isCurrency } from '#kernel/money.ts'
import { systemActor } from '#platform/db/system.ts'
import type { App } from '../app.ts'
import { watchFile } from './bar.ts'
import { withShop } from './connect.ts'
import { describeImport } from './import-report.ts'

type Flags = Partial<ImportOptions> & { dryRun?: boolean; json?: boolean }

/** An ISO 4217 code, whatever its case. */
export function parseCurrency(text: string): string {
  const code = text.toUpperCase()
  if (!isCurrency(code)) throw new InvalidArgumentError('not a currency of ISO 4217.')
  return code
}

export const command = new Command('import')
  .description('import Shopify product CSV files; the same file again goes on where it stopped')
  .argument('<file...>', 'product exports, in UTF-8')
  .option('--dry-run', 'do everything and undo it: tells what would happen')
  .addOption(
    new Option('--existing <what>', 'products that are there already').choices(['update', 'skip']).default('update'),
  )
  .option('--archive-missing', 'archive the variants and products that the file no longer has', false)
  .option('--stock', 'change stock by what the quantities changed since they were last taken', false)
  .option('--publish', 'make drafts of the file active', false)
  .option(
    '--currency <code>',
    "what prices are in, unless their column says so (default: the shop's first)",
    parseCurrency,
  )
  .option('--json', 'print JSON')
  .action((files: string[], { dryRun = false, json = false, ...flags }: Flags) =>
    withShop(async (app) => {
      for (const file of files) await access(file)
      const options = { ...(flags as ImportOptions), currency: flags.currency ?? app.config.currencies[0]! }
      const outcomes: (ImportOutcome & { file: string })[] = []
      for (const file of files) {
        const outcome = { file, ...(await importFile(app, file, options, dryRun)) }
        outcomes.push(outcome)
        if (!json) console.log(describeImport(file, outcome, dryRun))
      }
      if (json) console.log(JSON.stringify({ dryRun, files: outcomes }, null, 2))
      if (outcomes.some(({ status }) => status === 'refused')) process.exitCode = 1
    }),
  )

async function importFile(app: App, file: string, options: ImportOptions, dryRun: boolean): Promise<ImportOutcome> {
  return watchFile(`${basename(file)}  {bar}  row {value} of {total}`, (watched) =>
    app.contexts.catalog.importProducts(
      { actor: systemActor, requestId: 'stoa import' },
      {
        source: { name: basename(file), bytes: () => createReadStream(file) },
        options,
        dryRun,
        ...watched,
      },
    ),
  )
}
