import { userInfo } from 'node:os'
import { Command } from 'commander'
import type { Checkout } from '#contexts/orders/index.ts'
import { systemActor } from '#platform/db/system.ts'
import type { App } from '../app.ts'
import { withShop } from './connect.ts'

type Flags = { reason?: string }

const json = ['--json', 'print JSON'] as const
const reason = ['--reason <text>', 'why: it stands beside the switch and in the audit log'] as const

export const command = new Command('checkout')
  .description('whether orders are taken; pause or resume placing them while everything else goes on')
  .option(...json)
  .action((_: object, command: Command) =>
    withShop(async (app) => print(await app.contexts.orders.readCheckout(), command.optsWithGlobals())),
  )
  .addCommand(turn('pause', 'take no more orders; when this returns, none is placed any more', true))
  .addCommand(turn('resume', 'take orders again', false))

function turn(name: string, description: string, paused: boolean): Command {
  return new Command(name)
    .description(description)
    .option(...reason)
    .option(...json)
    .action((flags: Flags, command: Command) =>
      withShop(async (app) => print(await switchCheckout(app, paused, flags.reason), command.optsWithGlobals())),
    )
}

const switchCheckout = ({ perform, contexts }: App, paused: boolean, why?: string): Promise<Checkout> =>
  perform({ actor: systemActor, requestId: 'stoa checkout' }, (work) =>
    contexts.orders.switchCheckout(work, { paused, reason: why ?? null, by: userInfo().username }),
  )

const print = (checkout: Checkout, options: { json?: boolean }): void =>
  console.log(options.json ? JSON.stringify(checkout, null, 2) : report(checkout))

/** The state of the switch in one line. */
export function report({ paused, reason: why, changedBy, changedAt }: Checkout): string {
  const since = changedBy === null ? '' : ` since ${changedAt.toISOString()}, by ${changedBy}`
  return `checkout is ${paused ? 'paused' : 'open'}${since}${why === null ? '' : `: ${why}`}`
}
