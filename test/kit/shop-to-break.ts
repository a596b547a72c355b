import { startPostgres, type TestPostgres } from './postgres.ts'
import type { ShopProcess } from './processes.ts'
import { openSmtp, type Smtp } from './smtp.ts'
import { type StripeCluster, startStripeCluster } from './stripe-cluster.ts'
import { openToxicProxy, type ToxicProxy } from './toxics.ts'
import { mailingTo } from './witnesses.ts'

export const HOLD_MINUTES = 15

/** A whole shop with everything about it, and a hand on each wire: what a run of mixed faults breaks. */
export type ShopToBreak = {
  readonly cluster: StripeCluster
  readonly postgres: TestPostgres
  readonly smtp: Smtp
  /** From the shop's processes to their database, and to Stripe. */
  readonly links: { readonly database: ToxicProxy; readonly stripe: ToxicProxy }
  readonly processes: readonly ShopProcess[]
  readonly close: () => Promise<void>
}

/** Starts one: with a worker of its own or without, capturing money at once or by hand. */
export async function openShopToBreak(options: {
  readonly seed: number
  readonly worker: boolean
  readonly capture: 'automatic' | 'manual'
}): Promise<ShopToBreak> {
  const { seed, worker, capture } = options
  const [postgres, smtp] = await Promise.all([startPostgres(), openSmtp({ user: 'shop', pass: 'secret' })])
  let stripeUrl = ''
  const links = {
    database: await openToxicProxy(() => new URL(postgres.url), seed),
    stripe: await openToxicProxy(() => new URL(stripeUrl), seed),
  }
  const url = new URL(postgres.url)
  url.port = new URL(links.database.url).port
  const cluster = await startStripeCluster(
    { url: url.href, ownerUrl: postgres.ownerUrl },
    {
      services: 2,
      workers: worker ? 1 : 0,
      env: {
        ...{ PAYMENT_TIMEOUT_MS: '1500', DRAIN_MS: '0', HOLD_MINUTES: String(HOLD_MINUTES), PAYMENT_CAPTURE: capture },
        ...{ STRIPE_URL: links.stripe.url, ...mailingTo(smtp) },
      },
    },
  )
  stripeUrl = cluster.stripe.url
  return {
    ...{ cluster, postgres, smtp, links, processes: [...cluster.services, ...cluster.workers] },
    close: async () => {
      await cluster.stop()
      await Promise.all([postgres.stop(), smtp.close(), links.database.close(), links.stripe.close()])
    },
  }
}
