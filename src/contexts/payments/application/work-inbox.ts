import type { PaymentId } from '#kernel/ids.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Work } from '#platform/db/work.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import type { PaymentProviders } from './payment-provider.ts'
import type { SettlePayments } from './settle-payments.ts'

export type InboxEvent = {
  readonly id: number
  readonly provider: string
  readonly providerPaymentId: string
  readonly tries: number
}
export type WorkInboxNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly command: Command
  readonly log: Log
  /** Leases the next events; those that say nothing new are done by the same statement and left out. */
  claimInbox(): Promise<{ events: InboxEvent[]; claimed: number }>
  finishEvents(work: Work, ids: readonly number[]): Promise<void>
  /** Notes a failure: another try later, or parked for a person after the last one. */
  postponeEvent(event: InboxEvent, error: unknown): Promise<void>
  settlePayments: SettlePayments
}
type Read = { readonly event: InboxEvent; readonly found: ProviderPayment }

/**
 * Works on the next webhooks that are due: each object is read again from its provider, then settled. Resolves with whether
 * there may be more.
 */
export const workInbox = (needs: WorkInboxNeeds) => async (): Promise<boolean> => {
  const { events, claimed } = await needs.claimInbox()
  const read = await readObjects(needs, events)
  if (read.length > 0) await settleTogether(needs, read)
  return claimed > 0
}

/** Reads each object once, all at the same time and with no transaction open. */
async function readObjects(needs: WorkInboxNeeds, events: readonly InboxEvent[]): Promise<Read[]> {
  const byObject = Map.groupBy(events, ({ provider, providerPaymentId }) => `${provider} ${providerPaymentId}`)
  const read = await Promise.all(
    [...byObject.values()].map(async (same): Promise<Read[]> => {
      try {
        const { provider: name, providerPaymentId } = same[0] as InboxEvent
        const provider = needs.providers.get(name)
        if (!provider) throw new Error(`The provider ${name} is not switched on.`)
        const found = await provider.retrieve(providerPaymentId)
        return same.map((event) => ({ event, found }))
      } catch (error) {
        for (const event of same) await postpone(needs, event, error)
        return []
      }
    }),
  )
  return read.flat()
}

async function settleTogether(needs: WorkInboxNeeds, read: readonly Read[]): Promise<void> {
  try {
    await settleInOne(needs, read)
  } catch (error) {
    if (read.length === 1) return postpone(needs, (read[0] as Read).event, error)
    for (const one of read) await settleTogether(needs, [one])
  }
}

const settleInOne = ({ perform, command, settlePayments, finishEvents }: WorkInboxNeeds, read: readonly Read[]) =>
  perform(command, async (work) => {
    const ours = read.filter(({ found }) => isOurs(found))
    const objects = new Map(ours.map(({ found }) => [`${found.provider} ${found.id}`, found]))
    await settlePayments(
      work,
      [...objects.values()].map((found) => ({ paymentId: found.reference as PaymentId, word: { found } })),
    )
    await finishEvents(
      work,
      read.map(({ event }) => event.id),
    )
  })

/** Other shops and systems may use the same account: what does not even name a payment of a Stoa is theirs. */
const isOurs = ({ reference }: ProviderPayment): boolean => reference.startsWith('pay_')

async function postpone({ log, postponeEvent }: WorkInboxNeeds, event: InboxEvent, error: unknown): Promise<void> {
  log.warn({ err: error, inboxId: event.id, tries: event.tries }, 'a payment webhook could not be worked on')
  await postponeEvent(event, error)
}
