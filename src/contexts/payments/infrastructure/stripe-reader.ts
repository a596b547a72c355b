import type { Clock } from '#kernel/clock.ts'
import type { PaymentId } from '#kernel/ids.ts'
import { madeAt } from '#platform/ids.ts'
import { CallFailed } from '#platform/resilience/http-client.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import { chargeOf, type JsonObject, metadataOf, recordOf, toPayment } from './stripe-objects.ts'
import { isFinal, type StripeSdk } from './stripe-sdk-client.ts'

const PAGE = 100
/** With charges and refunds in them, objects are large. */
const FULL_PAGE = 50
const HOUR_MS = 3_600_000
/** How far back Stripe's search may lag: what is younger is listed. */
const SEARCH_LAG_MS = 2 * HOUR_MS
const CLOCK_SKEW_MS = 60_000
/** What an intent is asked for with, so that its answer tells of its refunds. */
export const expand = ['latest_charge.refunds']

/** What Stripe is asked without changing anything there. */
export function readStripe({ within, ask, clock }: StripeSdk & { readonly clock: Clock }) {
  /** An intent with its refunds and disputes, which are read where it does not show them all. */
  const complete = async (intent: unknown): Promise<ProviderPayment> => {
    const payment_intent = String(recordOf(intent).id)
    const charge = chargeOf(intent)
    if (recordOf(intent).status === 'succeeded' && !charge)
      throw new CallFailed('Stripe answered without a charge.', true)
    const shown = charge?.refunds as { data?: unknown[]; has_more?: boolean } | undefined
    const refunds = shown?.has_more ? await refundsOf(payment_intent) : (shown?.data ?? [])
    const disputes = charge?.disputed
      ? (await ask((stripe) => stripe.disputes.list({ payment_intent, limit: PAGE }))).data
      : []
    return toPayment(intent, refunds, disputes)
  }
  const refundsOf = (payment_intent: string): Promise<object[]> =>
    pages((page) => ask((stripe) => stripe.refunds.list({ payment_intent, limit: PAGE, ...page })))
  const retrieveIntent = (id: string) => ask((stripe) => stripe.paymentIntents.retrieve(id, { expand }))
  const retrieve = async (id: string) => complete(await retrieveIntent(id))

  /** Search knows everything but what is young, and the list the young: together they are never behind. Oldest first. */
  const findIntents = async (paymentId: PaymentId): Promise<JsonObject[]> => {
    const query = `metadata['paymentId']:'${paymentId}'`
    const old = await ask((stripe) => stripe.paymentIntents.search({ query, limit: PAGE })).catch((error: unknown) => {
      // Not every country's shops may search: then the list has to go back to the beginning.
      if (!isFinal(error)) throw error
    })
    const oldest = madeAt(paymentId).getTime() - CLOCK_SKEW_MS
    const young = old ? Math.max(oldest, clock().getTime() - SEARCH_LAG_MS) : oldest
    const created = { gte: Math.floor(young / 1000) }
    const recent = await pages((page) => ask((stripe) => stripe.paymentIntents.list({ created, limit: PAGE, ...page })))
    const mine = [...(old?.data ?? []), ...recent].filter((one) => metadataOf(recordOf(one)).paymentId === paymentId)
    const found = await Promise.all([...new Set(mine.map(({ id }) => id))].reverse().map(retrieveIntent))
    return found.sort((a, b) => a.created - b.created) as object[] as JsonObject[]
  }

  /** All of ours that was made in a span, from the oldest on. */
  async function* list({ from, before }: { from: Date; before: Date }): AsyncGenerator<ProviderPayment> {
    // Stripe lists from the newest on: an hour at a time, so that the oldest can come first.
    for (let start = from.getTime(); start < before.getTime(); start += HOUR_MS) {
      const end = Math.min(start + HOUR_MS, before.getTime())
      const created = { gte: Math.ceil(start / 1000), lt: Math.ceil(end / 1000) }
      const made = await pages((page) =>
        within(() =>
          ask((stripe) =>
            stripe.paymentIntents.list({ created, limit: FULL_PAGE, expand: [`data.${expand}`], ...page }),
          ),
        ),
      )
      const ours = made.reverse().filter((intent) => metadataOf(recordOf(intent)).paymentId)
      for (const intent of ours) yield await within(() => complete(intent))
    }
  }

  return { complete, refundsOf, retrieveIntent, retrieve, findIntents, list }
}

/** Every object of a list, page by page, in Stripe's order: the newest first. */
async function pages<One extends { id: string }>(
  read: (page: { starting_after?: string }) => Promise<{ data: One[]; has_more: boolean }>,
): Promise<One[]> {
  const all: One[] = []
  for (let more = true; more; ) {
    const last = all.at(-1)
    const { data, has_more } = await read(last ? { starting_after: last.id } : {})
    if (!Array.isArray(data) || (last && data.at(-1)?.id === last.id))
      throw new CallFailed('Stripe answered with a list that makes no sense.', true)
    all.push(...data)
    more = has_more && data.length > 0
  }
  return all
}
