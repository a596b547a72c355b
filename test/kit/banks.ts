import { setTimeout as pause } from 'node:timers/promises'
import type { FaultRule } from './stripe/faults.ts'
import type { StripeCluster } from './stripe-cluster.ts'

/** What happens at Stripe's double without anybody asking through the shop. */
type AtStripe = Pick<StripeCluster, 'stripe'>
type Random = () => number

/** How Stripe fails now and then. */
export const ROUGH: readonly FaultRule[] = (
  [
    [{ kind: 'error', at: 'before' }, 0.02],
    [{ kind: 'error', at: 'after' }, 0.01],
    [{ kind: 'error', at: 'after', kept: false }, 0.02],
    [{ kind: 'rate-limit' }, 0.02],
    [{ kind: 'silence', at: 'after', delayMs: 4_000 }, 0.02],
    [{ kind: 'silence', at: 'before', delayMs: 3_000 }, 0.01],
    [{ kind: 'reset', at: 'before' }, 0.02],
    [{ kind: 'reset', at: 'after' }, 0.02],
    [{ kind: 'html', status: 502, at: 'after' }, 0.01],
    [{ kind: 'html', status: 200, at: 'before' }, 0.01],
    [{ kind: 'cut' }, 0.01],
  ] as const
).map(([fault, rate]) => ({ rate, match: { path: '^/v1/' }, fault }))

/** Most of them are good. */
export const CARDS = [
  ...Array.from({ length: 8 }, () => 'pm_card_visa'),
  'pm_card_chargeDeclined',
  'pm_card_authenticationRequired',
  'pm_processing',
  'pm_processing_fail',
  'pm_card_createDispute',
  'pm_card_pendingRefund',
  'pm_card_refundFail',
]

const asksFor = async ({ stripe }: AtStripe) =>
  (await stripe.command('events')).filter(({ type }) => type === 'payment_intent.requires_action')

/** A buyer approves or refuses at their bank what a payment asked for last, or goes away. */
export async function approve(at: AtStripe, paymentId: string, random: Random): Promise<void> {
  const asked = (await asksFor(at)).findLast(({ data }) => data.object.metadata.paymentId === paymentId)
  if (asked && random() < 0.8)
    await at.stripe.command('authenticate', asked.data.object.id, random() < 0.7 ? 'approve' : 'refuse').catch(() => {})
}

/** Nobody comes back to the approvals that were left: their banks give up. */
export async function refuseWhatWaits(at: AtStripe): Promise<void> {
  for (const { data } of await asksFor(at))
    await at.stripe.command('authenticate', data.object.id, 'refuse').catch(() => {})
}

/** Somebody disputes what they paid, and it is decided or not; resolves with whether anybody did. */
export async function dispute({ stripe }: AtStripe, random: Random): Promise<boolean> {
  await pause(1_500)
  const { intents } = await stripe.command('ledger')
  const paid = Object.entries(intents).filter(([, { captured, refunded, disputed }]) => captured > refunded + disputed)
  const [id] = paid[Math.floor(random() * paid.length)] ?? []
  const opened = id === undefined ? undefined : await stripe.command('dispute', id).catch(() => undefined)
  if (!opened) return false
  await pause(500)
  if (random() < 0.7) await stripe.command('closeDispute', opened.id, random() < 0.5 ? 'won' : 'lost').catch(() => {})
  return true
}
