import type { Command, Perform } from '#platform/db/perform.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { AttemptStatus } from '../domain/attempt.ts'
import type { Payment } from '../domain/payment.ts'
import { refuse } from '../domain/problems.ts'
import type { PaymentProviders } from './payment-provider.ts'
import type { SettlePayments } from './settle-payments.ts'

export type LeaveObjectNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly log: Log
  readonly settlePayments: SettlePayments
}

/** Another attempt is being made. */
export const inProgress = () => refuse('payments.attempt-in-progress', undefined, { retryAfterSeconds: 1 })

/**
 * Whoever pays otherwise, while a bank waits for their approval or by another provider, leaves the object of before: it is
 * cancelled there first, so that only one can ever be paid. Refuses payments.attempt-in-progress while one is being charged
 * or processed there, and payments.already-captured when it was too late.
 */
export async function leaveObject(
  { providers, perform, log, settlePayments }: LeaveObjectNeeds,
  command: Command,
  payment: Payment,
  live: AttemptStatus | null,
  provider: string,
): Promise<void> {
  const { providerPaymentId } = payment
  const elsewhere = payment.provider !== provider
  const waits = live === 'requiresAction' || (elsewhere && live === 'processing')
  if (live !== null && !waits) throw inProgress()
  if (providerPaymentId === null || !(waits || elsewhere)) return
  const left = providers.get(payment.provider ?? '')
  if (!left) throw inProgress()
  const found = await left.cancel(providerPaymentId).catch((error: unknown) => {
    log.warn({ err: error, paymentId: payment.id, provider: left.name }, 'a payment could not be left')
    throw inProgress()
  })
  await perform(command, (work) => settlePayments(work, [{ paymentId: payment.id, word: { found } }]))
  if (found.status === 'succeeded') throw refuse('payments.already-captured')
  if (found.status !== 'cancelled') throw inProgress()
}
