/** Runs the sandbox as a process of its own: `node src/sandbox/main.ts --webhook-url http://… --secret … --api-key … [--port 8090] [--journal file]`. */
import { parseArgs } from 'node:util'
import { startSandbox } from './server.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8090' },
    'webhook-url': { type: 'string' },
    secret: { type: 'string' },
    'api-key': { type: 'string' },
    journal: { type: 'string' },
    'duplicate-rate': { type: 'string', default: '0.1' },
  },
})
const { 'webhook-url': webhookUrl, secret, 'api-key': apiKey, journal } = values
if (!webhookUrl || !secret || !apiKey) {
  console.error('The sandbox needs --webhook-url, --secret and --api-key.')
  process.exit(2)
}
const sandbox = await startSandbox({
  port: Number(values.port),
  webhookUrl,
  secret,
  apiKey,
  duplicateRate: Number(values['duplicate-rate']),
  ...(journal === undefined ? {} : { journalFile: journal }),
})
console.log(`Sandbox at ${sandbox.url}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void sandbox.close().then(() => process.exit(0)))
