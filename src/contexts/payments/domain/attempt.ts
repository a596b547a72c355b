import { minutesAfter } from '#kernel/clock.ts'
import type { AttemptId, PaymentId } from '#kernel/ids.ts'
import type { Decline, ProviderPayment } from './provider-payment.ts'

export type AttemptStatus =
  | 'created'
  | 'processing'
  | 'requiresAction'
  | 'succeeded'
  | 'declined'
  | 'cancelled'
  | 'unknown'

/** What an attempt can become. A decline is not final: the provider may still report success. */
export const attemptTransitions: Readonly<Record<AttemptStatus, readonly AttemptStatus[]>> = {
  created: ['processing', 'requiresAction', 'succeeded', 'declined', 'cancelled', 'unknown'],
  unknown: ['processing', 'requiresAction', 'succeeded', 'declined', 'cancelled'],
  processing: ['requiresAction', 'succeeded', 'declined', 'cancelled'],
  requiresAction: ['processing', 'succeeded', 'declined', 'cancelled'],
  declined: ['succeeded'],
  cancelled: ['succeeded'],
  succeeded: [],
}

/** One try to pay. While it is live it has a lease: past it, the provider is asked what became of it. */
export type Attempt = {
  readonly id: AttemptId
  readonly paymentId: PaymentId
  readonly status: AttemptStatus
  readonly redirectUrl: string | null
  /** From the answer of this very request only: it is kept nowhere but in the sealed answer. */
  readonly clientSecret: string | null
  readonly decline: Decline | null
  readonly leaseUntil: Date | null
  /** How often the provider was asked since. */
  readonly asked: number
  readonly createdAt: Date
  readonly endedAt: Date | null
}

/** What we learned about a payment's attempts: the provider's present state, or how our own call ended. */
export type Word = {
  readonly found?: ProviderPayment | undefined
  /**
   * The attempt whose call is over: `answered` (the provider spoke, so it knows of the call or never will), `silent`
   * (no answer: it may or may not have happened), `unsent` (it never left: nothing happened), or why the provider would
   * not even try.
   */
  readonly own?:
    | { readonly attemptId: AttemptId; readonly ended: 'answered' | 'silent' | 'unsent' | Decline }
    | undefined
}

/** Nowhere for the buyer to go on. */
const NOWHERE = { redirectUrl: null, clientSecret: null }

const NOT_RECEIVED: Decline = {
  code: 'not-received',
  message: 'The payment provider did not receive this attempt. Nothing was charged.',
  retryable: true,
}
const PROVIDER_UNAVAILABLE: Decline = {
  code: 'provider-unavailable',
  message: 'The payment provider cannot be reached at the moment. Nothing was charged.',
  retryable: true,
}
const PAID_OTHERWISE: Decline = {
  code: 'already-captured',
  message: 'Another attempt has paid. This one charged nothing.',
  retryable: false,
}
const ENDED_THERE: Decline = { code: 'cancelled', message: 'The payment was cancelled.', retryable: false }

/** Whether the provider said no: the money was asked for, and there is none. */
export const isDecline = ({ found, own }: Word): boolean =>
  found?.status === 'declined' || typeof own?.ended === 'object'

export const isLive = (attempt: Attempt): boolean => attempt.leaseUntil !== null

/** What becomes of an attempt by what we learned; itself, unchanged, when that says nothing new about it. */
export function resolve(attempt: Attempt, word: Word, paid: boolean, now: Date): Attempt {
  const { found } = word
  const ended = word.own?.attemptId === attempt.id ? word.own.ended : undefined
  const neverHeard = attempt.status === 'created' || attempt.status === 'unknown'
  // Its name is on the object before it is charged for: what shows until then is the decline of the one before.
  if (found?.status === 'declined' && neverHeard && isLeased(attempt, now) && !ended) return attempt
  if (found?.attemptId === attempt.id) return follow(attempt, found, now)
  if (!isLive(attempt)) return attempt
  if (typeof ended === 'object') return end(attempt, 'declined', ended, now)
  if (ended === 'unsent') return end(attempt, 'declined', PROVIDER_UNAVAILABLE, now)
  if (ended === 'silent') return attempt.status === 'created' ? waiting(attempt, 'unknown', NOWHERE, now) : attempt
  if (paid) return isCalling(attempt, now) && !ended ? attempt : end(attempt, 'cancelled', PAID_OTHERWISE, now)
  if (neverHeard && (ended === 'answered' || !isCalling(attempt, now)))
    return end(attempt, 'declined', NOT_RECEIVED, now)
  return ended === 'answered' ? waiting(attempt, attempt.status, attempt, now) : attempt
}

/** Whether its own call to the provider may still be under way: that call will report for itself. */
const isCalling = (attempt: Attempt, now: Date): boolean => attempt.status === 'created' && isLeased(attempt, now)

const isLeased = ({ leaseUntil }: Attempt, now: Date): boolean => leaseUntil !== null && leaseUntil > now

function follow(attempt: Attempt, found: ProviderPayment, now: Date): Attempt {
  // Authorised, the attempt has done what it was for: the money is taken by a capture.
  const status = found.status === 'authorised' ? 'succeeded' : found.status
  if (status !== attempt.status && !attemptTransitions[attempt.status].includes(status)) return attempt
  switch (status) {
    case 'succeeded':
      return attempt.status === 'succeeded' ? attempt : end(attempt, 'succeeded', null, now)
    case 'declined':
      return attempt.status === 'declined' ? attempt : end(attempt, 'declined', found.decline ?? NOT_RECEIVED, now)
    case 'cancelled':
      return attempt.status === 'cancelled' ? attempt : end(attempt, 'cancelled', ENDED_THERE, now)
    default:
      return waiting(attempt, status, status === 'requiresAction' ? found : NOWHERE, now)
  }
}

/** A person has decided about the money of a live attempt: it paid, or it is over. */
export const endLive = (attempt: Attempt, paid: boolean, now: Date): Attempt =>
  paid ? end(attempt, 'succeeded', null, now) : end(attempt, 'cancelled', ENDED_THERE, now)

const end = (attempt: Attempt, status: AttemptStatus, decline: Decline | null, now: Date): Attempt => ({
  ...attempt,
  status,
  decline,
  ...NOWHERE,
  leaseUntil: null,
  endedAt: now,
})

/** Live, and to be asked about again: an unanswered call soon, what waits for a bank or a buyer more and more rarely. */
function waiting(
  attempt: Attempt,
  status: AttemptStatus,
  { redirectUrl, clientSecret }: Pick<Attempt, 'redirectUrl' | 'clientSecret'>,
  now: Date,
): Attempt {
  const [firstMinutes, mostMinutes] = status === 'unknown' ? [5 / 60, 1] : [0.5, 10]
  const leaseUntil = minutesAfter(now, Math.min(firstMinutes * 2 ** attempt.asked, mostMinutes))
  return { ...attempt, status, redirectUrl, clientSecret, leaseUntil }
}
