import { Command } from 'commander'
import { run } from '../main.ts'

export const command = new Command('worker')
  .description('do the background work without the API: events, jobs, webhooks, expiry')
  .action(() => run({ listen: false, work: true }))
