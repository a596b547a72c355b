import type { AttemptId } from '#kernel/ids.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { Word } from '../domain/attempt.ts'
import type { Payment } from '../domain/payment.ts'
import type { ProviderPayment } from '../domain/provider-payment.ts'
import { type Charge, ChargeRefused, type PaymentProvider } from './payment-provider.ts'

/** Lets the provider take the money, and says how that ended. Never throws: silence is an answer too. */
export async function chargeOnce(provider: PaymentProvider, charge: Charge, log: Log): Promise<Word> {
  const { attemptId } = charge
  try {
    return { found: await provider.charge(charge), own: { attemptId, ended: 'answered' } }
  } catch (error) {
    if (error instanceof ChargeRefused) return { own: { attemptId, ended: error.decline } }
    if ((error as { sent?: boolean }).sent === false) return { own: { attemptId, ended: 'unsent' } }
    log.warn({ err: error, attemptId, provider: provider.name }, 'a payment attempt got no answer')
    // An answer without sense (a 500, say) ends the call on both sides: what came of it can be asked at once.
    if ((error as { answered?: boolean }).answered === true)
      return askAbout(provider, { id: charge.paymentId, providerPaymentId: charge.providerPaymentId }, attemptId, log)
    return { own: { attemptId, ended: 'silent' } }
  }
}

/** Asks the provider what became of an attempt, without charging anything. */
export async function askAbout(
  provider: PaymentProvider,
  { id, providerPaymentId }: Pick<Payment, 'id' | 'providerPaymentId'>,
  attemptId: AttemptId,
  log: Log,
): Promise<Word> {
  try {
    const objects = providerPaymentId === null ? await provider.find(id) : [await provider.retrieve(providerPaymentId)]
    const found = theOneThatCounts(objects)
    return { found, own: { attemptId, ended: 'answered' } }
  } catch (error) {
    log.warn({ err: error, attemptId, provider: provider.name }, 'the payment provider could not be asked')
    return { own: { attemptId, ended: 'silent' } }
  }
}

/** Of several objects of one payment: the one with money, else the last that is not over. */
const theOneThatCounts = (objects: readonly ProviderPayment[]): ProviderPayment | undefined =>
  objects.find(({ status }) => status === 'succeeded') ??
  objects.find(({ status }) => status === 'authorised') ??
  objects.findLast(({ status }) => status !== 'cancelled') ??
  objects.at(-1)
