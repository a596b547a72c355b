import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { startSandbox } from '../sandbox/server.ts'

const addressFile = (dataDir: string) => join(dataDir, 'sandbox.url')

/** Where the sandbox provider of this shop is, or was last: what SANDBOX_URL says, else what was noted at its start. */
export function knownSandboxUrl({ sandboxUrl, dataDir }: Config): string | undefined {
  if (sandboxUrl) return sandboxUrl
  try {
    return readFileSync(addressFile(dataDir), 'utf8').trim()
  } catch {
    return undefined
  }
}

/** Finds the sandbox provider that is running for this shop, or starts one beside it, whose books are kept with its data. */
export async function startSandboxBeside(config: Config): Promise<{ url: string; close(): Promise<void> }> {
  const known = knownSandboxUrl(config)
  if (known && (config.sandboxUrl || (await answers(known)))) return { url: known, close: async () => {} }
  const sandbox = await startSandbox({
    port: 0,
    webhookUrl: `http://127.0.0.1:${config.port}/v1/payments/webhook/sandbox`,
    secret: config.sandboxWebhookSecret,
    apiKey: config.sandboxSecretKey,
    journalFile: join(config.dataDir, 'sandbox.jsonl'),
  })
  writeFileSync(addressFile(config.dataDir), `${sandbox.url}\n`)
  return sandbox
}

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
    () => true,
    () => false,
  )
