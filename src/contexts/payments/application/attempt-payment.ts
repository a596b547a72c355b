import type { Clock } from '#kernel/clock.ts'
import type { AttemptId, OrderId, PaymentId, UserId } from '#kernel/ids.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Single } from '#platform/db/work.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { type Attempt, type AttemptStatus, isDecline, type Word } from '../domain/attempt.ts'
import { assertPayable, objectKeyOf, type Payment } from '../domain/payment.ts'
import { refuse } from '../domain/problems.ts'
import { askAbout, chargeOnce } from './ask-provider.ts'
import type { KeptBytes, Replay, RequestKey } from './changes.ts'
import { inProgress, leaveObject } from './leave-object.ts'
import type { Charge, PaymentProvider, PaymentProviders } from './payment-provider.ts'
import type { SettlePayments } from './settle-payments.ts'

/** What proves that a payment is somebody's: the account that bought, or the token of the order. */
export type Proof = { readonly orderId: OrderId; readonly tokenVersion: number; readonly buyerUserId: UserId | null }

export type WantedAttempt = RequestKey & {
  readonly paymentId: PaymentId
  readonly method: string
  readonly token: string
  readonly returnUrl?: string | undefined
  isAllowed(proof: Proof): boolean
  /** Serialises and seals an answer, and opens a kept one. */
  keep(attempt: Attempt): KeptBytes
  open(sealed: Buffer): Buffer
}

/** A payment as its attempt's request sees it: its proof, the state of its live attempt, and the one of this very key. */
export type PaymentForAttempt = {
  readonly payment: Payment
  readonly proof: Proof
  readonly live: AttemptStatus | null
  readonly mine:
    | (Attempt & { readonly requestHash: Buffer; readonly sealedAnswer: Buffer | null; readonly provider: string })
    | null
}

export type NewAttempt = RequestKey & {
  readonly id: AttemptId
  readonly paymentId: PaymentId
  readonly provider: string
  readonly leaseUntil: Date
}

/** What somebody who tries stolen cards would have to change for each few of them. */
export type Payer = { readonly orderId: OrderId; readonly userId: UserId | null; readonly address: string | null }

export type CardTesting = {
  /** Counts a try as declined until it turns out otherwise; the limit that has no room for it, if one has none. */
  beginTry(payer: Payer): Promise<{ readonly limit: string; readonly retryAfterSeconds: number } | undefined>
  notDeclined(payer: Payer): Promise<void>
}

export type AttemptPaymentNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly clock: Clock
  readonly log: Log
  /** Longer than a call to the provider can take. */
  readonly leaseMs: number
  readonly cardTesting: CardTesting
  /** Whether attempts take the money, or only authorise it. */
  readonly capture: Charge['capture']
  newAttemptId(): AttemptId
  readForAttempt(id: PaymentId, keyHash: Buffer): Promise<PaymentForAttempt | undefined>
  /** Takes the payment for one attempt and extends it; undefined when it is not open, or another attempt is live. */
  openAttempt(
    single: Single,
    attempt: NewAttempt,
  ): Promise<{ providerPaymentId: string | null; objectsLeft: number } | undefined>
  settlePayments: SettlePayments
  failpoint(name: string): Promise<void>
}

/**
 * Tries to pay: the intent is committed, the provider called with no connection held, the outcome recorded. The
 * attempt's row is its receipt: the same key gets the first answer, and after a crash the provider is asked, never
 * charged again. A decline is an outcome. Refuses payments.not-found, .unknown-method, .amount-too-small, .attempt-in-progress,
 * .already-captured, .already-authorised, .cancelled, .in-review, .too-many-declines and orders.hold-expired.
 */
export const attemptPayment =
  (needs: AttemptPaymentNeeds) =>
  async (command: Command, wanted: WantedAttempt): Promise<Replay> => {
    const seen = await needs.readForAttempt(wanted.paymentId, wanted.keyHash)
    if (!seen || !wanted.isAllowed(seen.proof)) throw refuse('payments.not-found')
    if (seen.mine) return answerAgain(needs, command, wanted, seen.payment, seen.mine)
    const provider = needs.providers.get(wanted.method)
    if (!provider) throw refuse('payments.unknown-method')
    refuseTooLittle(provider, seen.payment)
    assertPayable(seen.payment, needs.clock())
    const payer = await beginTry(needs, command, seen.payment)
    let declined = false
    try {
      await leaveObject(needs, command, seen.payment, seen.live, provider.name)
      const { paymentId, keyHash, requestHash } = wanted
      const id = needs.newAttemptId()
      const attempt = { id, paymentId, keyHash, requestHash, provider: provider.name }
      const opened = await needs.perform.one(command, (single) =>
        needs.openAttempt(single, { ...attempt, leaseUntil: new Date(single.now.getTime() + needs.leaseMs) }),
      )
      if (!opened) return await outrun(needs, wanted)
      await needs.failpoint('payment.before-call')
      const word = await charge(needs, provider, seen.payment, { id, ...opened }, wanted)
      declined = isDecline(word)
      await needs.failpoint('payment.after-call')
      const bytes = await record(needs, command, wanted, id, word)
      await needs.failpoint('payment.recorded')
      return { kind: 'answer', bytes, replayed: false }
    } finally {
      if (!declined) await needs.cardTesting.notDeclined(payer)
    }
  }

/** Each provider has a minimum of its own; the order only had to reach the least of them. */
function refuseTooLittle(provider: PaymentProvider, { amount }: Payment): void {
  const least = { amountMinor: provider.minimumMinor(amount.currency), currency: amount.currency }
  if (amount.amountMinor < least.amountMinor) throw refuse('payments.amount-too-small', undefined, { least })
}

/** Refuses payments.too-many-declines, before the provider hears of it. */
async function beginTry(
  { cardTesting, log }: AttemptPaymentNeeds,
  { actor: { kind, userId, address }, requestId }: Command,
  { orderId }: Payment,
): Promise<Payer> {
  const payer = { orderId, userId, address }
  const full = await cardTesting.beginTry(payer)
  if (!full) return payer
  const { limit, retryAfterSeconds } = full
  log.warn({ limit, requestId, orderId, actor: kind, actorId: userId }, 'rate limited')
  throw refuse('payments.too-many-declines', undefined, { retryAfterSeconds })
}

const charge = (
  { log, capture }: AttemptPaymentNeeds,
  provider: PaymentProvider,
  { id: paymentId, orderId, amount }: Payment,
  {
    id: attemptId,
    providerPaymentId,
    objectsLeft,
  }: { id: AttemptId; providerPaymentId: string | null; objectsLeft: number },
  { token, returnUrl }: WantedAttempt,
): Promise<Word> =>
  chargeOnce(
    provider,
    {
      ...{ paymentId, orderId, attemptId, providerPaymentId, amount, capture, token, returnUrl },
      objectKey: objectKeyOf({ id: paymentId, objectsLeft }),
    },
    log,
  )

/** Records what came of an attempt, and keeps the answer with it. */
async function record(
  { perform, settlePayments }: AttemptPaymentNeeds,
  command: Command,
  { paymentId, keep }: WantedAttempt,
  attemptId: AttemptId,
  word: Word,
): Promise<Buffer> {
  const bytes = await perform(command, (work) => settlePayments(work, [{ paymentId, word }], { attemptId, keep }))
  if (!bytes) throw new Error(`The attempt ${attemptId} has gone.`)
  return bytes
}

/** Somebody was faster between our look and our step: the twin of this request, another attempt, or the payment's end. */
async function outrun(needs: AttemptPaymentNeeds, wanted: WantedAttempt): Promise<Replay> {
  const seen = await needs.readForAttempt(wanted.paymentId, wanted.keyHash)
  if (seen?.mine) return seen.mine.requestHash.equals(wanted.requestHash) ? { kind: 'in-flight' } : { kind: 'reused' }
  if (seen) assertPayable(seen.payment, needs.clock())
  throw inProgress()
}

/** A key that was seen before. Without an answer, the process that had it died on the way: the provider knows. */
async function answerAgain(
  needs: AttemptPaymentNeeds,
  command: Command,
  wanted: WantedAttempt,
  payment: Payment,
  mine: NonNullable<PaymentForAttempt['mine']>,
): Promise<Replay> {
  if (!mine.requestHash.equals(wanted.requestHash)) return { kind: 'reused' }
  if (mine.sealedAnswer) return { kind: 'answer', bytes: wanted.open(mine.sealedAnswer), replayed: true }
  const unheard = mine.status === 'created' || mine.status === 'unknown'
  if (mine.status === 'created' && mine.leaseUntil && mine.leaseUntil > needs.clock()) return { kind: 'in-flight' }
  const provider = needs.providers.get(mine.provider)
  const word: Word = unheard && provider ? await askAbout(provider, payment, mine.id, needs.log) : {}
  return { kind: 'answer', bytes: await record(needs, command, wanted, mine.id, word), replayed: true }
}
