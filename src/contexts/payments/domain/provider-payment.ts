import type { AttemptId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'

/** Why an attempt brought no money: a stable code a shop front can act on, words for the buyer, whether to try again. */
export type Decline = { readonly code: string; readonly message: string; readonly retryable: boolean }

/** Money on its way back, as its provider has it; `refundId` is null for one that was made at the provider itself. */
export type ProviderRefund = {
  readonly id: string
  readonly refundId: RefundId | null
  readonly amountMinor: number
  /** `failed` also when it had succeeded before: the money is the shop's again. */
  readonly status: 'pending' | 'succeeded' | 'failed'
}

/** A buyer's bank wants the money back. While it is open the provider keeps `amountMinor`, and for good when it is lost. */
export type ProviderDispute = {
  readonly id: string
  readonly amountMinor: number
  /** The provider's word for why. */
  readonly reason: string
  readonly status: 'open' | 'won' | 'lost'
}

/** A payment as its provider has it at this moment, in our words. Amounts in ISO 4217's minor units of `amount.currency`. */
export type ProviderPayment = {
  readonly provider: string
  readonly id: string
  /** Our payment's id, as the provider keeps it. */
  readonly reference: string
  /** Which of our attempts it heard last: what `status` says, it says of that one. */
  readonly attemptId: AttemptId | null
  readonly status: 'declined' | 'requiresAction' | 'processing' | 'authorised' | 'succeeded' | 'cancelled'
  /** What is asked for. */
  readonly amount: Money
  /** How much of it was taken: 0 unless it succeeded. */
  readonly takenMinor: number
  readonly refunds: readonly ProviderRefund[]
  readonly disputes: readonly ProviderDispute[]
  /** When money that is only authorised is let go, if the provider says. */
  readonly authorisedUntil: Date | null
  /** Where the buyer approves, when it needs them and has a page for it. */
  readonly redirectUrl: string | null
  /** What the provider's own script on the buyer's device goes on with. A secret between the buyer and the provider. */
  readonly clientSecret: string | null
  readonly decline: Decline | null
}

/** How much of it has gone back, in minor units. */
export const refundedMinorOf = ({ refunds }: ProviderPayment): number =>
  refunds.reduce((sum, { status, amountMinor }) => sum + (status === 'succeeded' ? amountMinor : 0), 0)
