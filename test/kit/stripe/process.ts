import { join } from 'node:path'
import { type Running, startProcess } from '../processes.ts'
import type { StripeDouble } from './server.ts'

const MAIN = join(import.meta.dirname, 'main.ts')

type Command = Exclude<keyof StripeDouble, 'url' | 'port' | 'apiKey' | 'close' | 'webhookOf'>

export type StripeProcess = Running & {
  readonly url: string
  /** Runs a command of the double through its control port; see `server.ts`. */
  command<Name extends Command>(
    name: Name,
    ...args: Parameters<StripeDouble[Name]>
  ): Promise<Awaited<ReturnType<StripeDouble[Name]>>>
}

/** Starts the double as a process of its own, with the key `sk_test_double`; resolves when it answers. */
export async function startStripeProcess(options: {
  readonly port: number
  readonly journalFile: string
  readonly webhookUrl?: string
  readonly secret?: string
  readonly clockFile?: string
}): Promise<StripeProcess> {
  const { port, journalFile, webhookUrl, secret = 'whsec_test', clockFile } = options
  const url = `http://127.0.0.1:${port}`
  const running = await startProcess(
    url,
    [
      ...[MAIN, '--port', String(port), '--journal', journalFile, '--secret', secret],
      ...(webhookUrl === undefined ? [] : ['--webhook-url', webhookUrl]),
    ],
    clockFile === undefined ? {} : { CLOCK_FILE: clockFile },
  )
  return {
    ...running,
    url,
    command: async (name, ...args) => {
      const response = await fetch(`${url}/control/${name}`, { method: 'POST', body: JSON.stringify(args) })
      const told = (await response.json()) as any
      if (!response.ok) throw new Error(told.error.message)
      return told
    },
  }
}
