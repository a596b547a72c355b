import type { Clock } from '#kernel/clock.ts'
import type { OrderId, PaymentId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Actor, Work } from '#platform/db/work.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { Payment } from '../domain/payment.ts'
import { refuse } from '../domain/problems.ts'
import type { ProviderRefund } from '../domain/provider-payment.ts'
import {
  failRefund,
  followRefund,
  promiseRefund,
  type Refund,
  type RefundStep,
  refundableMinor,
  refuseUnrefundable,
} from '../domain/refund.ts'
import { type KeptBytes, type KeyedRow, type Replay, type RequestKey, replayOf, type SaveChanges } from './changes.ts'
import { type PaymentProviders, RefundRefused } from './payment-provider.ts'
import type { RefundsByLines, WantedLines } from './refunds-by-lines.ts'

/** An amount, or lines and shipping of the order: one of the two. */
export type WantedRefund = RequestKey &
  WantedLines & {
    readonly paymentId: PaymentId
    readonly amount?: Money
    readonly reason: string
    keep(refund: Refund): KeptBytes
    open(sealed: Buffer): Buffer
  }
export type KeyedRefund = Refund & KeyedRow
export type RefundNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly command: Command
  readonly clock: Clock
  readonly log: Log
  /** Longer than a call to the provider can take. */
  readonly leaseMs: number
  newRefundId(): RefundId
  readonly byLines: () => RefundsByLines
  orderOfPayment(work: Work, id: PaymentId): Promise<OrderId | undefined>
  lockPayments(work: Work, ids: readonly PaymentId[]): Promise<Payment[]>
  refundOfKey(work: Work, paymentId: PaymentId, keyHash: Buffer): Promise<KeyedRefund | undefined>
  refundOfId(work: Work, id: RefundId): Promise<Refund | undefined>
  /** Leases refunds that nobody is carrying out, each a little longer than the time before. */
  claimDueRefunds(): Promise<Refund[]>
  saveChanges: SaveChanges
  failpoint(name: string): Promise<void>
}

export type RefundInFull = (work: Work, paymentId: PaymentId, reason: string) => Promise<void>

/**
 * Gives back a part of a captured payment: promised and audited, then sent by the provider, then booked. The refund's
 * row is its receipt. Without an answer from the provider it stays `pending` and is sent again under the same key.
 * Refuses payments.not-found, .not-captured, .disputed, .refund-exceeds-captured and .currency-mismatch, and of lines what
 * countRefund refuses.
 */
export const refundPayment =
  (needs: RefundNeeds) =>
  async (command: Command, wanted: WantedRefund): Promise<Replay> => {
    const { refund, before } = await needs.perform(command, (work) => promise(needs, work, wanted))
    const replay = replayOf(before, wanted, needs.clock())
    if (replay) return replay
    const bytes = await carryOut(needs, command, refund, wanted.keep)
    return { kind: 'answer', bytes: bytes ?? Buffer.alloc(0), replayed: before !== undefined }
  }

async function promise(
  needs: RefundNeeds,
  work: Work,
  wanted: WantedRefund,
): Promise<{ refund: Refund; before?: KeyedRefund }> {
  const orderId = wanted.amount ? undefined : await needs.orderOfPayment(work, wanted.paymentId)
  if (orderId) await needs.byLines().lockOrder(work, orderId)
  const [payment] = await needs.lockPayments(work, [wanted.paymentId])
  if (!payment) throw refuse('payments.not-found')
  const before = await needs.refundOfKey(work, payment.id, wanted.keyHash)
  if (before) return { refund: before, before }
  refuseUnrefundable(payment)
  const id = needs.newRefundId()
  const amountMinor = await amountOf(needs, work, payment, id, wanted)
  const asked = { id, amountMinor, reason: wanted.reason, by: work.actor.userId ?? work.actor.apiKeyId ?? null }
  const promised = promiseRefund(payment, asked, work.now)
  const leaseUntil = new Date(work.now.getTime() + needs.leaseMs)
  const { keyHash, requestHash } = wanted
  await needs.saveChanges(work, {
    payments: [promised.payment],
    newRefunds: [{ ...promised.refund, leaseUntil, key: { keyHash, requestHash } }],
  })
  work.audit({
    action: 'payments.refund',
    subject: payment.id,
    before: { refundedMinor: payment.refundedMinor, refundingMinor: payment.refundingMinor },
    after: {
      refundId: promised.refund.id,
      refundingMinor: promised.payment.refundingMinor,
      currency: payment.amount.currency,
    },
  })
  return { refund: promised.refund }
}

/** What is asked for, in minor units; of lines and shipping, the order counts it. */
async function amountOf(needs: RefundNeeds, work: Work, payment: Payment, refundId: RefundId, wanted: WantedRefund) {
  const { amount, lines = [], shipping, reason } = wanted
  const money = amount ?? (shipping === true ? undefined : shipping?.amount)
  if (money && money.currency !== payment.amount.currency) throw refuse('payments.currency-mismatch')
  if (amount) return amount.amountMinor
  const shippingMinor = shipping === true ? ('rest' as const) : (money?.amountMinor ?? 0)
  const { orderId } = payment
  return (await needs.byLines().countRefund(work, { orderId, refundId, lines, shippingMinor, reason })).amountMinor
}

/** Sends a refund under its id, however often it takes, and books it once. */
async function carryOut(
  needs: RefundNeeds,
  command: Command,
  refund: Refund,
  keep?: (refund: Refund) => KeptBytes,
): Promise<Buffer | undefined> {
  await needs.failpoint('refund.before-call')
  const sent = refund.status === 'pending' ? await send(needs, refund) : {}
  await needs.failpoint('refund.after-call')
  return needs.perform(command, async (work) => {
    const [payment] = await needs.lockPayments(work, [refund.paymentId])
    const current = await needs.refundOfId(work, refund.id)
    if (!payment || !current) throw new Error(`The refund ${refund.id} has gone.`)
    const step = stepOf(payment, current, sent, work.now)
    const kept = keep?.(step.refund)
    const lastError = sent.error ? { lastError: sent.error } : {}
    await needs.saveChanges(work, {
      payments: step.payment === payment ? [] : [step.payment],
      refunds: [{ ...step.refund, ...(kept ? { sealedAnswer: kept.sealed } : {}), ...lastError }],
      entries: step.entries,
    })
    work.emit(...step.events)
    return kept?.bytes
  })
}

/** What the provider said of a refund: how it stands there, that it will not be made, or nothing. */
type Sent = { readonly there?: ProviderRefund; readonly refused?: true; readonly error?: string }

function stepOf(payment: Payment, refund: Refund, { there, refused }: Sent, now: Date): RefundStep {
  if (there) return followRefund(payment, refund, there, now)
  return refused ? failRefund(payment, refund, now) : { payment, refund, entries: [], events: [] }
}

/** Sends it, or learns how it stands when it was sent before. */
async function send({ providers, log }: RefundNeeds, refund: Refund): Promise<Sent> {
  const { id: refundId, providerPaymentId, amount } = refund
  try {
    const provider = providers.get(refund.provider)
    if (!provider) throw new Error(`The provider ${refund.provider} is not switched on.`)
    return { there: await provider.refund({ refundId, providerPaymentId, amount }) }
  } catch (error) {
    log.warn({ err: error, refundId }, 'a refund could not be sent')
    const told = (error as Error).message.slice(0, 500)
    return error instanceof RefundRefused ? { refused: true, error: told } : { error: told }
  }
}

/**
 * Promises everything that is left of a payment, in the caller's transaction; it is sent after the commit. Nothing goes back
 * while the payment is disputed: who wants it back then hears of it when the dispute is won.
 */
export const refundInFull =
  (needs: RefundNeeds): RefundInFull =>
  async (work, paymentId, reason) => {
    const [payment] = await needs.lockPayments(work, [paymentId])
    const amountMinor = payment ? refundableMinor(payment) : 0
    if (payment?.status !== 'captured' || amountMinor === 0) return
    const promised = promiseRefund(
      payment,
      { id: needs.newRefundId(), amountMinor, reason, by: staffOf(work.actor) },
      work.now,
    )
    await needs.saveChanges(work, {
      payments: [promised.payment],
      newRefunds: [{ ...promised.refund, leaseUntil: work.now }],
    })
  }

/** Who of the shop asked; that a buyer did stands in the order's timeline. */
const staffOf = ({ kind, userId, apiKeyId }: Actor) =>
  kind === 'staff' || kind === 'server' ? (userId ?? apiKeyId ?? null) : null

/** Sends the next refunds that are due; resolves with whether there may be more. */
export const sendDueRefunds = (needs: RefundNeeds) => async (): Promise<boolean> => {
  const due = await needs.claimDueRefunds()
  await Promise.all(due.map((refund) => carryOut(needs, needs.command, refund)))
  return due.length > 0
}
