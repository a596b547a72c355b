import type { AttemptId, PaymentId } from '#kernel/ids.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { Word } from '../domain/attempt.ts'
import { askAbout } from './ask-provider.ts'
import type { PaymentProvider, PaymentProviders } from './payment-provider.ts'
import type { SettlePayments } from './settle-payments.ts'

/** A payment that its provider has to be asked about: what became of an attempt, or to cancel it there. */
export type DuePayment = {
  readonly id: PaymentId
  readonly provider: string
  readonly providerPaymentId: string | null
}

export type HealPaymentsNeeds = {
  readonly providers: PaymentProviders
  readonly perform: Perform
  readonly command: Command
  readonly log: Log
  /** Leases attempts that are past their lease. */
  claimDueAttempts(): Promise<(DuePayment & { readonly attemptId: AttemptId })[]>
  /** Leases closing payments that are still alive at their provider. */
  claimDueClosings(): Promise<(DuePayment & { readonly providerPaymentId: string })[]>
  settlePayments: SettlePayments
}

/**
 * Ends what was left half done: asks providers about attempts past their lease, and cancels there what is closing here.
 * Whether there was any: then there may be more.
 */
export const healPayments = (needs: HealPaymentsNeeds) => async (): Promise<boolean> => {
  const attempts = await needs.claimDueAttempts()
  await Promise.all(
    attempts.map((due) => heal(needs, due, (provider) => askAbout(provider, due, due.attemptId, needs.log))),
  )
  const closings = await needs.claimDueClosings()
  await Promise.all(
    closings.map((due) =>
      heal(needs, due, async (provider) => ({ found: await provider.cancel(due.providerPaymentId) })),
    ),
  )
  return attempts.length + closings.length > 0
}

async function heal(
  { providers, perform, command, log, settlePayments }: HealPaymentsNeeds,
  due: DuePayment,
  ask: (provider: PaymentProvider) => Promise<Word>,
): Promise<void> {
  try {
    const provider = providers.get(due.provider)
    if (!provider) throw new Error(`The provider ${due.provider} is not switched on.`)
    const word = await ask(provider)
    await perform(command, (work) => settlePayments(work, [{ paymentId: due.id, word }]))
  } catch (error) {
    // Its lease brings it back.
    log.warn({ err: error, paymentId: due.id }, 'a payment could not be healed yet')
  }
}
