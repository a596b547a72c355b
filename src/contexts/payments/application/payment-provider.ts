import type { AttemptId, CaptureId, OrderId, PaymentId, RefundId } from '#kernel/ids.ts'
import type { Currency, Money } from '#kernel/money.ts'
import type { Decline, ProviderPayment, ProviderRefund } from '../domain/provider-payment.ts'

/** One try to take what a payment owes, with what the buyer's device got from the provider (`token`; never a card). */
export type Charge = {
  readonly paymentId: PaymentId
  readonly orderId: OrderId
  readonly attemptId: AttemptId
  /** The provider's object from an earlier attempt; null when we know of none. */
  readonly providerPaymentId: string | null
  /** The idempotency key under which the object is made: the payment's id, and another one after an object was left. */
  readonly objectKey: string
  readonly amount: Money
  /** Whether the money is taken at once, or only authorised until `capture`. */
  readonly capture: 'automatic' | 'manual'
  readonly token: string
  readonly returnUrl?: string | undefined
}

/** What a genuine webhook says about itself. Its claims are not believed: the object is read again. */
export type WebhookEvent = {
  readonly eventId: string
  readonly type: string
  /** Null when it is about nothing that we act on. */
  readonly providerPaymentId: string | null
  /** Whether it says that money was taken. */
  readonly claimsCapture: boolean
}

/** The provider would not try at all, and nothing happened: the reason is the attempt's outcome. */
export class ChargeRefused extends Error {
  readonly decline: Decline
  constructor(decline: Decline) {
    super(decline.message)
    this.decline = decline
  }
}

/** The provider has definitely not taken this authorised money, and will not: it has lapsed, or was let go. */
export class CaptureRefused extends Error {}

/** The provider has definitely not made this refund, and will not. */
export class RefundRefused extends Error {}

/**
 * What Stoa needs from a payment provider. One object there per payment, however many attempts. Every call ends within
 * the configured time-out; a call that throws anything but the three errors above may or may not have happened.
 * Amounts are ISO 4217's minor units here; a provider's own units stay in its adapter.
 */
export type PaymentProvider = {
  readonly name: string
  /** How long a payment that is `processing` there may keep its order's stock. */
  readonly processingMaxMinutes: number
  /** Whether a payment that is `processing` there can still be cancelled: it waits for its buyer, not for a bank. */
  readonly cancelsProcessing: boolean
  /** The least amount it takes, in minor units. */
  minimumMinor(currency: Currency): number
  /** Creates the provider's object or confirms it again; once per attempt, however often it is asked. */
  charge(charge: Charge): Promise<ProviderPayment>
  /** Takes authorised money, all or a part of it, once per capture id; what is not taken is let go. */
  capture(capture: {
    readonly captureId: CaptureId
    readonly providerPaymentId: string
    readonly amount: Money
  }): Promise<ProviderPayment>
  /** Reads one object; throws when the provider does not know it. */
  retrieve(providerPaymentId: string): Promise<ProviderPayment>
  /** Every object that carries our payment's id. */
  find(paymentId: PaymentId): Promise<readonly ProviderPayment[]>
  /** Every object that was made in this span, from the oldest on. */
  list(span: { readonly from: Date; readonly before: Date }): AsyncIterable<ProviderPayment>
  /** Cancels what has taken no money, and tells what it is now: succeeded, when it was too late. */
  cancel(providerPaymentId: string): Promise<ProviderPayment>
  /** Sends money back, once per refund id, though it be asked again after the provider forgot our key: how it stands now. */
  refund(refund: {
    readonly refundId: RefundId
    readonly providerPaymentId: string
    readonly amount: Money
  }): Promise<ProviderRefund>
  /** Reads a webhook; undefined unless it is genuine and fresh at `now`. */
  readWebhook(
    headers: Readonly<Record<string, string | string[] | undefined>>,
    body: Buffer,
    now: Date,
  ): WebhookEvent | undefined
  close(): Promise<void>
}

export type PaymentProviders = ReadonlyMap<string, PaymentProvider>
