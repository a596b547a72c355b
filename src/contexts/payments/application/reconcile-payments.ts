import type { PaymentId } from '#kernel/ids.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { PaymentStatus } from '../domain/payment.ts'
import { type ProviderDispute, type ProviderPayment, refundedMinorOf } from '../domain/provider-payment.ts'
import type { PaymentProvider, PaymentProviders } from './payment-provider.ts'
import type { SettlePayments } from './settle-payments.ts'

/** An object at a provider as our books have it, in minor units. */
export type BookedObject = {
  readonly id: PaymentId
  readonly status: PaymentStatus
  readonly provider: string
  readonly providerPaymentId: string
  readonly capturedMinor: number
  readonly refundedMinor: number
  /** In disputes, by how they stand. */
  readonly disputed: Disputed
}
type Disputed = Readonly<Record<ProviderDispute['status'], number>>
export type Difference = { readonly subject: string; readonly detail: string }
export type Span = { readonly from: Date; readonly before: Date }
export type Reconciliation = {
  readonly compared: number
  readonly healed: readonly Difference[]
  /** What waits for a person. */
  readonly open: readonly Difference[]
}
export type ReconcileNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly command: Command
  readonly log: Log
  /** All objects that the books know, or those of payments that were opened or tried in a span. */
  bookedObjects(span?: Span): Promise<BookedObject[]>
  bookedObject(provider: string, providerPaymentId: string): Promise<BookedObject | undefined>
  isOurs(reference: string): Promise<boolean>
  settlePayments: SettlePayments
  noteReconciliation(span: Span, outcome: Reconciliation): Promise<void>
}

const AT_ONCE = 8

/** Holds the books against the providers', object by object: what was taken, went back and is disputed. Changes nothing. */
export const compareWithProviders =
  (needs: Pick<ReconcileNeeds, 'providers' | 'bookedObjects'>) => async (): Promise<Difference[]> => {
    const open: Difference[] = []
    await eachAtOnce(await needs.bookedObjects(), async (booked) => {
      const found = await read(needs.providers, booked, open)
      const detail = found && differenceOf(booked, found)
      if (detail) open.push({ subject: booked.id, detail })
    })
    return open
  }

/**
 * Goes through everything that the providers made in a span, and all that the books have of it, and lets the one function
 * that books money hear what differs: a webhook that never came, a refund made at the provider. An object of a payment that
 * is closed here is cancelled there. What differs after that is left to a person.
 */
export const reconcilePayments =
  (needs: ReconcileNeeds) =>
  async (span: Span, onProgress: (compared: number) => void = () => {}): Promise<Reconciliation> => {
    const seen = new Set<string>()
    const healed: Difference[] = []
    const open: Difference[] = []
    const reconcile = async (provider: PaymentProvider, found: ProviderPayment) => {
      seen.add(`${found.provider} ${found.id}`)
      await reconcileOne(needs, provider, found, healed, open)
      onProgress(seen.size)
    }
    for (const provider of needs.providers.values())
      await eachAtOnce(provider.list(span), (found) => reconcile(provider, found))
    const unseen = (await needs.bookedObjects(span)).filter(
      (one) => !seen.has(`${one.provider} ${one.providerPaymentId}`),
    )
    await eachAtOnce(unseen, async (booked) => {
      const found = await read(needs.providers, booked, open)
      const provider = needs.providers.get(booked.provider)
      if (found && provider) await reconcile(provider, found)
    })
    const outcome = { compared: seen.size, healed, open }
    await needs.noteReconciliation(span, outcome)
    for (const { subject, detail } of healed)
      needs.log.warn({ subject, detail }, 'reconciled with the payment provider')
    for (const { subject, detail } of open) needs.log.error({ subject, detail }, 'the books differ from the provider')
    return outcome
  }

async function reconcileOne(
  needs: ReconcileNeeds,
  provider: PaymentProvider,
  found: ProviderPayment,
  healed: Difference[],
  open: Difference[],
): Promise<void> {
  const booked = await needs.bookedObject(found.provider, found.id)
  const subject = booked?.id ?? found.reference
  // Other shops and systems may use the same account.
  if (!booked && !(await needs.isOurs(found.reference))) return
  const before = differenceOf(booked, found)
  if (before === undefined) return
  try {
    const current = isAliveThere(booked, found) ? await provider.cancel(found.id) : found
    const paymentId = (booked?.id ?? found.reference) as PaymentId
    await needs.perform(needs.command, (work) => needs.settlePayments(work, [{ paymentId, word: { found: current } }]))
    const after = differenceOf(await needs.bookedObject(found.provider, found.id), current)
    if (after === undefined) healed.push({ subject, detail: before })
    else open.push({ subject, detail: after })
  } catch (error) {
    open.push({ subject, detail: `${before}; it could not be healed: ${(error as Error).message}` })
  }
}

const UNDISPUTED: Disputed = { open: 0, won: 0, lost: 0 }
const told = ({ open, won, lost }: Disputed): string => `${open} open, ${won} won, ${lost} lost`
const disputedIn = ({ disputes }: ProviderPayment): Disputed => {
  const sums = { ...UNDISPUTED }
  for (const { status, amountMinor } of disputes) sums[status] += amountMinor
  return sums
}

/** What of an object is otherwise there than in the books; undefined when nothing is. */
function differenceOf(booked: BookedObject | undefined, found: ProviderPayment): string | undefined {
  const { capturedMinor = 0, refundedMinor = 0, disputed = UNDISPUTED, status } = booked ?? {}
  const [back, disputedThere] = [refundedMinorOf(found), disputedIn(found)]
  const there = `${found.provider} took ${found.takenMinor}, refunded ${back}, disputes: ${told(disputedThere)}`
  if (capturedMinor !== found.takenMinor || refundedMinor !== back || told(disputed) !== told(disputedThere))
    return `${there}; the books say ${capturedMinor}, ${refundedMinor}, ${told(disputed)} (${found.id})`
  if (isAliveThere(booked, found)) return `${found.id} can still be paid at ${found.provider}, and is cancelled here`
  const authorisedThere = found.status === 'authorised'
  if (booked && authorisedThere !== (status === 'authorised') && (authorisedThere || found.status === 'cancelled'))
    return `${found.id} is ${found.status} at ${found.provider}, and ${status} here`
  return undefined
}

const isAliveThere = (booked: BookedObject | undefined, { status }: ProviderPayment): boolean =>
  booked?.status === 'cancelled' && status !== 'cancelled' && status !== 'succeeded' && status !== 'processing'

async function read(
  providers: PaymentProviders,
  { id: subject, provider, providerPaymentId }: BookedObject,
  open: Difference[],
): Promise<ProviderPayment | undefined> {
  try {
    const there = await providers.get(provider)?.retrieve(providerPaymentId)
    if (!there) open.push({ subject, detail: `the provider ${provider} is not switched on` })
    return there
  } catch (error) {
    open.push({ subject, detail: `${provider} could not be asked: ${(error as Error).message}` })
    return undefined
  }
}

/** Runs over all of them, a few at the same time. */
async function eachAtOnce<One>(
  all: Iterable<One> | AsyncIterable<One>,
  run: (one: One) => Promise<void>,
): Promise<void> {
  const next = Symbol.asyncIterator in all ? all[Symbol.asyncIterator]() : all[Symbol.iterator]()
  const work = async () => {
    for (let one = await next.next(); !one.done; one = await next.next()) await run(one.value)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}
