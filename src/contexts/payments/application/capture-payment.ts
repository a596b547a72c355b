import type { Clock } from '#kernel/clock.ts'
import type { CaptureId, PaymentId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Work } from '#platform/db/work.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { type CaptureRequest, endCapture, promiseCapture } from '../domain/capture-request.ts'
import type { Payment } from '../domain/payment.ts'
import { refuse } from '../domain/problems.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import { type KeptBytes, type KeyedRow, type Replay, type RequestKey, replayOf, type SaveChanges } from './changes.ts'
import { CaptureRefused, type PaymentProviders } from './payment-provider.ts'
import type { SettlePayments } from './settle-payments.ts'

export type WantedCapture = RequestKey & {
  readonly paymentId: PaymentId
  /** All of it when left out. */
  readonly amount?: Money | undefined
  keep(request: CaptureRequest): KeptBytes
  open(sealed: Buffer): Buffer
}
export type KeyedCapture = CaptureRequest & KeyedRow
export type CaptureNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly command: Command
  readonly clock: Clock
  readonly log: Log
  /** Longer than a call to the provider can take. */
  readonly leaseMs: number
  newCaptureId(): CaptureId
  lockPayments(work: Work, ids: readonly PaymentId[]): Promise<Payment[]>
  captureOfKey(work: Work, paymentId: PaymentId, keyHash: Buffer): Promise<KeyedCapture | undefined>
  captureOfId(work: Work, id: CaptureId): Promise<CaptureRequest | undefined>
  /** Leases requests that nobody is carrying out, each a little longer than the time before. */
  claimDueCaptures(): Promise<CaptureRequest[]>
  settlePayments: SettlePayments
  saveChanges: SaveChanges
  failpoint(name: string): Promise<void>
}

/**
 * Takes authorised money, all or a part of it: promised and audited, then taken by the provider, then booked. The
 * request's row is its receipt; without an answer it stays `pending` and is carried out again under the same key. Refuses
 * payments.not-found, .currency-mismatch and what promiseCapture refuses.
 */
export const capturePayment =
  (needs: CaptureNeeds) =>
  async (command: Command, wanted: WantedCapture): Promise<Replay> => {
    const { request, before } = await needs.perform(command, (work) => promise(needs, work, wanted))
    const replay = replayOf(before, wanted, needs.clock())
    if (replay) return replay
    const bytes = await carryOut(needs, command, request, wanted.keep)
    return { kind: 'answer', bytes: bytes ?? Buffer.alloc(0), replayed: before !== undefined }
  }

async function promise(
  needs: CaptureNeeds,
  work: Work,
  { paymentId, amount, keyHash, requestHash }: WantedCapture,
): Promise<{ request: CaptureRequest; before?: KeyedCapture }> {
  const [payment] = await needs.lockPayments(work, [paymentId])
  if (!payment) throw refuse('payments.not-found')
  const before = await needs.captureOfKey(work, payment.id, keyHash)
  if (before) return { request: before, before }
  if (amount && amount.currency !== payment.amount.currency) throw refuse('payments.currency-mismatch')
  const by = work.actor.userId ?? work.actor.apiKeyId ?? null
  const wanted = { id: needs.newCaptureId(), amountMinor: amount?.amountMinor, by }
  const promised = promiseCapture(payment, wanted, work.now)
  const leaseUntil = new Date(work.now.getTime() + needs.leaseMs)
  await needs.saveChanges(work, {
    payments: [promised.payment],
    newCaptureRequests: [{ ...promised.request, keyHash, requestHash, leaseUntil }],
  })
  work.audit({
    action: 'payments.capture',
    subject: payment.id,
    before: { capturedMinor: payment.capturedMinor },
    after: {
      captureId: promised.request.id,
      captureMinor: promised.payment.captureMinor,
      currency: payment.amount.currency,
    },
  })
  return { request: promised.request }
}

/** Takes the money under the request's id, however often it takes, and books it once. */
async function carryOut(
  needs: CaptureNeeds,
  command: Command,
  request: CaptureRequest,
  keep?: (request: CaptureRequest) => KeptBytes,
): Promise<Buffer | undefined> {
  await needs.failpoint('capture.before-call')
  const { found, error, refused } = request.status === 'pending' ? await call(needs, request) : {}
  await needs.failpoint('capture.after-call')
  return needs.perform(command, async (work) => {
    const { paymentId } = request
    if (found) await needs.settlePayments(work, [{ paymentId, word: { found } }])
    const [payment] = await needs.lockPayments(work, [paymentId])
    const current = await needs.captureOfId(work, request.id)
    if (!payment || !current) throw new Error(`The capture ${request.id} has gone.`)
    const ended = endCapture(payment, current, work.now, refused)
    const kept = keep?.(ended.request)
    await needs.saveChanges(work, {
      payments: ended.payment === payment ? [] : [ended.payment],
      captureRequests: [
        { ...ended.request, ...(kept ? { sealedAnswer: kept.sealed } : {}), ...(error ? { lastError: error } : {}) },
      ],
    })
    return kept?.bytes
  })
}

/** What the provider has after the call, and whether it has refused; nothing when it did not say. */
async function call(
  { providers, log }: CaptureNeeds,
  { id: captureId, provider: name, providerPaymentId, amount }: CaptureRequest,
): Promise<{ found?: ProviderPayment; error?: string; refused?: true }> {
  if (providerPaymentId === null) return {}
  try {
    const provider = providers.get(name ?? '')
    if (!provider) throw new Error(`The provider ${name} is not switched on.`)
    return await provider.capture({ captureId, providerPaymentId, amount }).then(
      (found) => ({ found }),
      async (error: Error) => {
        if (!(error instanceof CaptureRefused)) throw error
        const found = await provider.retrieve(providerPaymentId)
        return { found, error: error.message.slice(0, 500), refused: true as const }
      },
    )
  } catch (error) {
    log.warn({ err: error, captureId }, 'a payment could not be captured')
    return { error: (error as Error).message.slice(0, 500) }
  }
}

/** Carries out the next requests that are due; resolves with whether there may be more. */
export const captureDue = (needs: CaptureNeeds) => async (): Promise<boolean> => {
  const due = await needs.claimDueCaptures()
  await Promise.all(due.map((request) => carryOut(needs, needs.command, request)))
  return due.length > 0
}
