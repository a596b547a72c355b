import { minutesAfter } from '#kernel/clock.ts'
import type { DomainEvent } from '#kernel/event.ts'
import type { Money } from '#kernel/money.ts'
import { type Attempt, resolve, type Word } from './attempt.ts'
import { event, isCaptured, isObjectOf, leaveObject, type Payment } from './payment.ts'
import type { ProviderPayment } from './provider-payment.ts'

/** Money that a provider took. A surplus capture is a second one for the same order, or one that staff send back. */
export type Capture = {
  readonly paymentId: Payment['id']
  readonly provider: string
  readonly providerPaymentId: string
  readonly amount: Money
  readonly surplus: boolean
}

/** What a provider took that does not fit its payment: it waits for a person, once per object. */
export type Held = {
  readonly paymentId: Payment['id']
  readonly provider: string
  readonly providerPaymentId: string
  readonly reason: string
  readonly taken: Money
}

export type Settlement = {
  readonly payment: Payment
  readonly attempts: readonly Attempt[]
  readonly capture: Capture | null
  readonly held: Held | null
  readonly events: readonly DomainEvent[]
}

/** How long a provider keeps authorised money that does not say so itself. */
const AUTHORISED_DAYS = 7

/**
 * What a provider's word means for a payment and its attempts. Money is taken note of once per provider payment, and
 * only when amount, currency and reference are ours: otherwise the payment is held for review and nothing moves, unless
 * somebody has decided about that object (`isJudged`). The same word again, or an older one, changes nothing.
 */
export function settle(
  payment: Payment,
  attempts: readonly Attempt[],
  word: Word,
  now: Date,
  isJudged = false,
): Settlement {
  const { found } = word
  const heard = found && !isJudged && !wasLeft(payment, attempts, found) ? hear(payment, found, now) : unmoved(payment)
  // While its money is in question or is let go, an attempt is neither paid nor free to be tried again.
  const told: Word =
    found && isOpenQuestion(heard.payment, found) ? { ...word, found: { ...found, status: 'processing' } } : word
  const resolved = attempts.map((attempt) => resolve(attempt, told, isCaptured(heard.payment), now))
  const declined = resolved.filter(
    (attempt, index) => attempt.status === 'declined' && attempts[index]?.status !== 'declined',
  )
  return {
    ...heard,
    attempts: resolved,
    events: [...heard.events, ...declined.map((attempt) => declinedEvent(payment, attempt))],
  }
}

/**
 * Whether it is an old word about an object that the payment has left: its attempt has ended with it. Nothing is made with
 * that object again; money that it took all the same is heard.
 */
const wasLeft = (payment: Payment, attempts: readonly Attempt[], found: ProviderPayment): boolean =>
  found.status !== 'succeeded' &&
  payment.providerPaymentId === null &&
  attempts.some(({ id, status }) => id === found.attemptId && (status === 'cancelled' || status === 'succeeded'))

type Heard = Omit<Settlement, 'attempts'>
const unmoved = (payment: Payment): Heard => ({ payment, capture: null, held: null, events: [] })

function hear(payment: Payment, found: ProviderPayment, now: Date): Heard {
  switch (found.status) {
    case 'succeeded':
      return take(payment, found)
    case 'authorised':
      return authorise(payment, found, now)
    case 'cancelled':
      return cancelledThere(payment, found)
    default:
      return unmoved(adopt(payment, found))
  }
}

/** Whether money is there, taken or authorised, that this payment does not have. */
const isOpenQuestion = (after: Payment, { status }: ProviderPayment): boolean =>
  status === 'succeeded'
    ? !isCaptured(after)
    : status === 'authorised' && after.status !== 'authorised' && !isCaptured(after)

/** Remembers the provider's object while there is none, so that every later attempt uses the same one. */
const adopt = (payment: Payment, found: ProviderPayment): Payment =>
  payment.providerPaymentId === null && found.reference === payment.id
    ? { ...payment, provider: found.provider, providerPaymentId: found.id }
    : payment

function take(payment: Payment, found: ProviderPayment): Heard {
  const { id: providerPaymentId, provider } = found
  if (isCaptured(payment) && isObjectOf(payment, found)) return unmoved(payment)
  const wrong = whatIsWrong(payment, found)
  if (wrong) return holdForReview(payment, found, wrong)
  const amount = { amountMinor: found.takenMinor, currency: found.amount.currency }
  const capture = { paymentId: payment.id, provider, providerPaymentId, amount, surplus: isCaptured(payment) }
  if (capture.surplus) return { ...unmoved(payment), capture }
  return { ...unmoved(captured(payment, capture)), capture, events: [event('payments.captured.v1', payment, amount)] }
}

/** The payment with this money. */
export const captured = (payment: Payment, { provider, providerPaymentId, amount }: Capture): Payment => ({
  ...payment,
  status: 'captured',
  capturedMinor: amount.amountMinor,
  provider,
  providerPaymentId,
  authorisedUntil: null,
  closeAt: null,
})

/** What of an object's money does not fit the payment; undefined when all does. */
export function whatIsWrong(payment: Payment, found: ProviderPayment): string | undefined {
  if (isCaptured(payment) && isObjectOf(payment, found)) return undefined
  const { id, reference, amount, status, takenMinor } = found
  if (reference !== payment.id) return `${id} belongs to ${reference}`
  if (amount.currency !== payment.amount.currency) return `${id} is in ${amount.currency}`
  if (amount.amountMinor !== payment.amount.amountMinor) return `${id} asks for ${amount.amountMinor}`
  const expected = isCaptured(payment) ? amount.amountMinor : (payment.captureMinor ?? amount.amountMinor)
  if (status === 'succeeded' && takenMinor !== expected) return `${id} took ${takenMinor}`
  return undefined
}

function holdForReview(payment: Payment, found: ProviderPayment, reason: string): Heard {
  const { provider, id: providerPaymentId, takenMinor, amount } = found
  const taken = { amountMinor: takenMinor, currency: amount.currency }
  const held = { paymentId: payment.id, provider, providerPaymentId, reason, taken }
  if (payment.reviewReason !== null) return { ...unmoved(payment), held }
  // Another object's money is no reason to lose sight of the payment's own.
  const isSound = isCaptured(payment) || (payment.status === 'authorised' && !isObjectOf(payment, found))
  const status = isSound ? payment.status : 'review'
  return {
    ...unmoved({ ...adopt(payment, found), status, reviewReason: reason }),
    held,
    events: [event('payments.held-for-review.v1', payment, { ...payment.amount })],
  }
}

/** The money is promised and waits for a capture; for a payment that is closing or closed it is let go at the provider. */
function authorise(payment: Payment, found: ProviderPayment, now: Date): Heard {
  const adopted = adopt(payment, found)
  if (!isObjectOf(adopted, found) || isCaptured(payment) || payment.status === 'review') return unmoved(payment)
  const wrong = whatIsWrong(payment, found)
  if (wrong) return holdForReview(payment, found, wrong)
  if (payment.status === 'cancelled' || payment.closingReason !== null)
    return unmoved({ ...adopted, closeAt: adopted.closeAt ?? now })
  const authorisedUntil = found.authorisedUntil ?? minutesAfter(now, AUTHORISED_DAYS * 1_440)
  if (payment.status === 'authorised') return unmoved(payment)
  return {
    ...unmoved({ ...adopted, status: 'authorised', authorisedUntil }),
    events: [
      event('payments.authorised.v1', payment, { ...payment.amount, authorisedUntil: authorisedUntil.toISOString() }),
    ],
  }
}

/**
 * The object is over. A payment that is closing is closed by it; any other stays open, and is made with another object
 * the next time.
 */
function cancelledThere(payment: Payment, found: ProviderPayment): Heard {
  const isOurs = isObjectOf(payment, found)
  if (payment.status !== 'open' && payment.status !== 'authorised')
    return unmoved(isOurs && payment.closeAt ? { ...payment, closeAt: null } : payment)
  if (payment.closingReason !== null && (isOurs || payment.providerPaymentId === null))
    return {
      ...unmoved({ ...payment, status: 'cancelled', authorisedUntil: null, closeAt: null }),
      events: [event('payments.cancelled.v1', payment, {})],
    }
  if (!isOurs) return unmoved(payment)
  const left = { ...leaveObject(payment), status: 'open', authorisedUntil: null, captureMinor: null } as const
  const lapsed = payment.status === 'authorised'
  return { ...unmoved(left), events: lapsed ? [event('payments.authorisation-lapsed.v1', payment, {})] : [] }
}

const declinedEvent = (payment: Payment, attempt: Attempt): DomainEvent =>
  event('payments.declined.v1', payment, { attemptId: attempt.id, code: attempt.decline?.code ?? 'unknown' })
