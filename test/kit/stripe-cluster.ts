import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { comeToRest } from './at-rest.ts'
import { attempt, type Payable, type Reply } from './buyer.ts'
import { freePort } from './free-port.ts'
import { type Cluster, type DatabaseUrls, startCluster } from './processes.ts'
import { type StripeProcess, startStripeProcess } from './stripe/process.ts'
import type { Taken } from './witnesses.ts'

export type StripeCluster = Cluster & {
  readonly stripe: StripeProcess
  /** Where the ledger of the double and our books differ, payment by payment; empty when they agree. */
  ledgersDiffer(): Promise<string[]>
  /** What the double holds, an object each. */
  taken(): Promise<Taken[]>
  /** Waits until nobody owes a webhook and nothing of payments is under way; fails after that time. */
  comeToRest(timeoutMs: number): Promise<void>
}

/** Service processes that take payments through Stripe's SDK, and the double as a process of its own beside them. */
export async function startStripeCluster(
  database: DatabaseUrls,
  options: { services: number; workers?: number; env?: Record<string, string> },
): Promise<StripeCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'stripe-double-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const keys = { STRIPE_SECRET_KEY: 'sk_test_double', STRIPE_WEBHOOK_SECRET: 'whsec_test' }
  const cluster = await startCluster(database, {
    ...options,
    env: { ...keys, STRIPE_URL: `http://127.0.0.1:${port}`, ...options.env },
  })
  const stripe = await startStripeProcess({
    port,
    journalFile: join(folder, 'stripe.jsonl'),
    webhookUrl: `${cluster.services[0].url}/v1/payments/webhook/stripe`,
    clockFile: cluster.clockFile,
  })
  const query = async (text: string): Promise<any[]> => {
    const client = new pg.Client({ connectionString: database.ownerUrl })
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  }
  return {
    ...cluster,
    stripe,
    ledgersDiffer: async () => {
      const { intents } = await stripe.command('ledger')
      const booked = new Map((await query(BOOKED)).map(({ id, sums }) => [id, sums]))
      const ids = new Set([...Object.keys(intents), ...booked.keys()])
      return [...ids].flatMap((id) => {
        const { captured = 0, refunded = 0, disputed = 0, lost = 0 } = intents[id] ?? {}
        const theirs = [captured, refunded, disputed, lost].join(' ')
        const ours = booked.get(id) ?? '0 0 0 0'
        return theirs === ours ? [] : [`${id}: Stripe ${theirs}, books ${ours}`]
      })
    },
    taken: async () =>
      Object.values((await stripe.command('ledger')).intents).map(({ metadata, captured, refunded }) => ({
        paymentId: String(metadata.paymentId),
        captured,
        refunded,
      })),
    comeToRest: (timeoutMs) => comeToRest(query, timeoutMs, async () => (await stripe.command('owed')).length),
    stop: async () => {
      await cluster.stop()
      await stripe.end('SIGTERM')
    },
  }
}

/** What the ledger says of each object at Stripe: captured, refunded, in open disputes, lost. */
const BOOKED = `
  with moved as (
    select coalesce(c.provider_payment_id, r.provider_payment_id, d.provider_payment_id) as id, l.kind, l.amount_minor
    from payments.ledger l
      left join payments.refunds r on r.id = l.refund_id
      left join payments.disputes d on d.provider_dispute_id = l.provider_dispute_id
      left join payments.captures c on l.kind = 'capture' and c.payment_id = l.payment_id
        and (l.credit = 'surplus') = c.surplus
    where l.debit = 'provider:stripe' or l.credit = 'provider:stripe' or l.debit = 'losses'
  )
  select id, concat_ws(' ',
    coalesce(sum(amount_minor) filter (where kind = 'capture'), 0),
    coalesce(sum(case kind when 'refund' then amount_minor when 'refund-failed' then -amount_minor end), 0),
    coalesce(sum(case kind when 'dispute' then amount_minor when 'dispute-won' then -amount_minor
      when 'dispute-lost' then -amount_minor end), 0),
    coalesce(sum(amount_minor) filter (where kind = 'dispute-lost'), 0)) as sums
  from moved group by id`

/** Pays an order through Stripe. */
export const payByStripe = (
  url: string,
  order: Payable,
  token = 'pm_card_visa',
  key: string = randomUUID(),
): Promise<Reply> => attempt(url, order, { method: 'stripe', token, returnUrl: 'https://shop.example/back' }, key)
