/**
 * Runs the double as a process of its own: `node test/kit/stripe/main.ts --port 8091 --webhook-url http://… --secret whsec_…
 * [--secret whsec_next] [--journal file] [--webhooks '{"duplicateRate":0.2}'] [--faults '[…]']`.
 */
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
    webhooks: { type: 'string', default: '{}' },
    faults: { type: 'string', default: '[]' },
  },
})
const { 'webhook-url': webhookUrl, secret: secrets, journal } = values
const stripe = await startStripe({
  port: Number(values.port),
  apiKey: values['api-key'],
  seed: Number(values.seed),
  searchLagMs: Number(values['search-lag']),
  webhooks: JSON.parse(values.webhooks),
  faults: JSON.parse(values.faults),
  ...(webhookUrl === undefined ? {} : { webhookUrl }),
  ...(secrets === undefined ? {} : { secrets }),
  ...(journal === undefined ? {} : { journalFile: journal }),
})
console.log(`Stripe double at ${stripe.url}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stripe.close().then(() => process.exit(0)))
