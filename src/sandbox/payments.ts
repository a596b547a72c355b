import {
  type Ledger,
  type SandboxDispute,
  type SandboxEvent,
  type SandboxPayment,
  type SandboxRefund,
  sandboxId,
} from './ledger.ts'

/** What is wrong with a request, with its HTTP status; answered as `{"error": {code, message}}`. */
export class SandboxError extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** What a request changed, to be kept and told together with its answer. */
export type Change = {
  payment: SandboxPayment
  refund?: SandboxRefund
  dispute?: SandboxDispute
  tell?: string
  answerAfterMs?: number
}

export type Timing = {
  readonly answerLateMs: number
  /** How long it takes what does not happen at once. */
  readonly processingMs: number
  /** How long refunds that do not end at once are on their way. */
  readonly refundMs: number
  /** How long authorised money waits to be captured. */
  readonly authorisedMs: number
}

/** Tokens that pay at once; what comes after that is told in coming.ts and refunds.ts. */
const PAYS = ['tok_ok', 'tok_timeout', 'tok_dispute', 'tok_refund_pending', 'tok_refund_fails', 'tok_refund_returned']

export type NewPayment = {
  reference: string
  amount: number
  currency: string
  token?: string
  capture?: 'automatic' | 'manual'
  returnUrl?: string
  metadata?: Record<string, string>
}

/** A new payment; confirmed at once when it comes with a token. Below 50 minor units it is refused. */
export function createPayment(wanted: NewPayment, url: string, timing: Timing): Change {
  const { reference, amount, currency, token, capture = 'automatic', returnUrl, metadata = {} } = wanted
  if (typeof reference !== 'string' || reference === '') throw invalid('reference is missing.')
  if (!Number.isSafeInteger(amount)) throw invalid('amount must be a whole number of minor units.')
  if (amount < 50) throw new SandboxError(422, 'amount_too_small', 'The least amount is 50 minor units.')
  if (!/^[A-Z]{3}$/.test(currency)) throw invalid('currency must be an ISO 4217 code.')
  if (returnUrl !== undefined && !/^https?:\/\/\S+$/.test(returnUrl)) throw invalid('returnUrl must be an http(s) URL.')
  const payment: SandboxPayment = {
    id: sandboxId('pay'),
    reference,
    amount,
    currency,
    capture,
    createdAt: new Date().toISOString(),
    token: null,
    status: 'requires_payment_method',
    authorisedUntil: null,
    amountCaptured: 0,
    amountRefunded: 0,
    refunds: [],
    disputes: [],
    metadata,
    returnUrl: returnUrl ?? null,
    nextAction: null,
    lastError: null,
  }
  return token === undefined ? { payment } : confirmPayment(payment, { token }, url, timing)
}

/** Tries to take the money with a token, which says how that goes. Only while none was taken. */
export function confirmPayment(
  payment: SandboxPayment,
  { token, metadata }: { token?: string; metadata?: Record<string, string> },
  url: string,
  timing: Timing,
): Change {
  if (payment.status !== 'requires_payment_method' && payment.status !== 'requires_action')
    throw notNow(payment, 'confirmed')
  const tried: SandboxPayment = {
    ...payment,
    token: token ?? null,
    nextAction: null,
    lastError: null,
    metadata: { ...payment.metadata, ...metadata },
  }
  if (token === 'tok_timeout') return { ...succeed(tried, timing), answerAfterMs: timing.answerLateMs }
  if (token !== undefined && PAYS.includes(token)) return succeed(tried, timing)
  if (token === 'tok_declined') return fail(tried, 'card_declined', 'The card was declined.')
  if (token === 'tok_error') throw new SandboxError(500, 'internal_error', 'Something went wrong.')
  if (token === 'tok_processing') return { payment: { ...tried, status: 'processing' }, tell: 'payment.processing' }
  if (token === 'tok_requires_action') {
    const nextAction = { type: 'redirect', url: `${url}/pay/${tried.id}` } as const
    return { payment: { ...tried, status: 'requires_action', nextAction }, tell: 'payment.requires_action' }
  }
  throw new SandboxError(
    422,
    'unknown_token',
    `No such token: ${[...PAYS, 'tok_declined', 'tok_requires_action', 'tok_processing', 'tok_error'].join(', ')}.`,
  )
}

/** What becomes of a payment that its buyer approved, or that was being processed. */
export function succeed(payment: SandboxPayment, { authorisedMs }: Timing): Change {
  const approved = { ...payment, nextAction: null }
  if (payment.capture === 'automatic') return taken(approved, payment.amount)
  const authorisedUntil = new Date(Date.now() + authorisedMs).toISOString()
  return { payment: { ...approved, status: 'requires_capture', authorisedUntil }, tell: 'payment.authorised' }
}

const taken = (payment: SandboxPayment, amountCaptured: number): Change => ({
  payment: { ...payment, status: 'succeeded', authorisedUntil: null, amountCaptured },
  tell: 'payment.succeeded',
})

/** A decline: the payment stays and may be tried again. */
export const fail = (payment: SandboxPayment, code: string, message: string): Change => ({
  payment: { ...payment, nextAction: null, status: 'requires_payment_method', lastError: { code, message } },
  tell: 'payment.failed',
})

/** Takes authorised money, all or a part; what is not taken is let go. */
export function capturePayment(payment: SandboxPayment, { amount = payment.amount }: { amount?: number }): Change {
  if (payment.status !== 'requires_capture') throw notNow(payment, 'captured')
  if (!Number.isSafeInteger(amount) || amount < 1 || amount > payment.amount)
    throw invalid('amount must be 1 to what was authorised.')
  return taken(payment, amount)
}

/** Ends a payment that has not taken money; again on a cancelled one is no error. */
export function cancelPayment(payment: SandboxPayment): Change {
  if (payment.status === 'cancelled') return { payment }
  if (payment.status === 'succeeded' || payment.status === 'processing') throw notNow(payment, 'cancelled')
  return {
    payment: { ...payment, status: 'cancelled', authorisedUntil: null, nextAction: null },
    tell: 'payment.cancelled',
  }
}

/** The event that tells of a change, if it tells. */
export const eventOf = ({ payment, refund, dispute, tell }: Change): SandboxEvent | undefined =>
  tell === undefined
    ? undefined
    : {
        id: sandboxId('evt'),
        type: tell,
        createdAt: new Date().toISOString(),
        data: { payment, ...(refund && { refund }), ...(dispute && { dispute }) },
      }

/** The payment of this id, or a 404. */
export function findPayment(ledger: Ledger, id: string): SandboxPayment {
  const payment = ledger.payments.get(id)
  if (payment === undefined) throw new SandboxError(404, 'not_found', 'No such payment.')
  return payment
}

/** What is not as the request says it. */
export const invalid = (message: string) => new SandboxError(422, 'invalid_request', message)
/** What cannot be done to a payment in its present state. */
export const notNow = (payment: SandboxPayment, done: string) =>
  new SandboxError(409, 'payment_unexpected_state', `A payment that is ${payment.status} cannot be ${done}.`)
