import { Command } from 'commander'

/** Each command is a file that exports `command`; only the one that is wanted is loaded. */
const commands = {
  serve: () => import('./cli/serve.ts'),
  worker: () => import('./cli/worker.ts'),
  migrate: () => import('./cli/migrate.ts'),
  'migrate-users': () => import('./cli/migrate-users.ts'),
  import: () => import('./cli/import.ts'),
  export: () => import('./cli/export.ts'),
  backup: () => import('./cli/backup.ts'),
  restore: () => import('./cli/restore.ts'),
  audit: () => import('./cli/audit.ts'),
  erasures: () => import('./cli/erasures.ts'),
  reconcile: () => import('./cli/reconcile.ts'),
  replay: () => import('./cli/replay.ts'),
  show: () => import('./cli/show.ts'),
  access: () => import('./cli/access.ts'),
  checkout: () => import('./cli/checkout.ts'),
  'rotate-keys': () => import('./cli/rotate-keys.ts'),
}

const program = new Command('stoa').description('A headless commerce backend.').helpCommand(false)
const wanted = Object.entries(commands).filter(([name]) => name === process.argv[2])
for (const [, load] of wanted.length > 0 ? wanted : Object.entries(commands)) program.addCommand((await load()).command)

try {
  await program.parseAsync()
} catch (error) {
  console.error(isBug(error) ? error : `stoa: ${(error as Error).message}`)
  process.exitCode = 1
}

/** What went wrong outside is told in one line; a mistake of ours with its stack. */
function isBug(error: unknown): boolean {
  return !(error instanceof Error) || [TypeError, ReferenceError, RangeError].some((kind) => error instanceof kind)
}
