/** Runs the double as a process of its own: `node test/kit/stripe/main.ts --port 8091 --webhook-url http://… --secret whsec_… [--journal file]`. */
import { parseArgs } from 'node:util'
import { startStripe } from './server.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'api-key': { type: 'string', default: 'sk_test_double' },
    'webhook-url': { type: 'string' },
    secret: { type: 'string', multiple: true },
    journal: { type: 'string' },
    seed: { type: 'string', default: '1' },
    'search-lag': { type: 'string', default: '0' },
    'duplicate-rate': { type: 'string', default: '0' },
    'drop-rate': { type: 'string', default: '0' },
    'jitter-ms': { type: 'string', default: '0' },
  },
})
const { 'webhook-url': webhookUrl, secret: secrets, journal } = values
const stripe = await startStripe({
  port: Number(values.port),
  apiKey: values['api-key'],
  seed: Number(values.seed),
  searchLagMs: Number(values['search-lag']),
  webhooks: {
    duplicateRate: Number(values['duplicate-rate']),
    dropRate: Number(values['drop-rate']),
    jitterMs: Number(values['jitter-ms']),
  },
  ...(webhookUrl === undefined ? {} : { webhookUrl }),
  ...(secrets === undefined ? {} : { secrets }),
  ...(journal === undefined ? {} : { journalFile: journal }),
})
console.log(`Stripe double at ${stripe.url}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stripe.close().then(() => process.exit(0)))
