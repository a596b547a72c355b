import type { AttemptId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'

/** Why an attempt brought no money: a stable code a shop front can act on, words for the buyer, whether to try again. */
export type Decline = { readonly code: string; readonly message: string; readonly retryable: boolean }

/** A payment as its provider has it at this moment, in our words. */
export type ProviderPayment = {
  readonly provider: string
  readonly id: string
  /** Our payment's id, as the provider keeps it. */
  readonly reference: string
  /** Which of our attempts it heard last: what `status` says, it says of that one. */
  readonly attemptId: AttemptId | null
  readonly status: 'declined' | 'requiresAction' | 'processing' | 'succeeded' | 'cancelled'
  /** What is asked for; when it succeeded, what was taken. */
  readonly amount: Money
  /** How much of it went back, in minor units. */
  readonly refundedMinor: number
  readonly redirectUrl: string | null
  readonly decline: Decline | null
}
