import { Command } from 'commander'
import { run } from '../main.ts'

export const command = new Command('serve')
  .description('start the shop: database, API and background work; Ctrl-C stops it')
  .option('--no-worker', 'leave the background work to `stoa worker`')
  .action(({ worker }: { worker: boolean }) => run({ listen: true, work: worker }))
