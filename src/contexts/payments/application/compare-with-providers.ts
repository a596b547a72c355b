import type { PaymentId } from '#kernel/ids.ts'
import { refundedMinorOf } from '../domain/provider-payment.ts'
import type { PaymentProviders } from './payment-provider.ts'

/** A provider payment as our books have it, in minor units. */
export type BookedPayment = {
  readonly id: PaymentId
  readonly provider: string
  readonly providerPaymentId: string
  readonly capturedMinor: number
  readonly refundedMinor: number
}
export type CompareNeeds = {
  readonly providers: PaymentProviders
  bookedPayments(): Promise<BookedPayment[]>
}
export type Difference = { readonly subject: PaymentId; readonly detail: string }

const AT_ONCE = 16

/** Holds the books against the providers', payment by payment: what was taken and what went back. */
export const compareWithProviders = (needs: CompareNeeds) => async (): Promise<Difference[]> => {
  const booked = await needs.bookedPayments()
  const differences: Difference[] = []
  const next = booked.values()
  const work = async () => {
    for (const one of next) differences.push(...(await compare(needs.providers, one)))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return differences
}

async function compare(providers: PaymentProviders, booked: BookedPayment): Promise<Difference[]> {
  const { id: subject, provider, providerPaymentId, capturedMinor, refundedMinor } = booked
  try {
    const there = await providers.get(provider)?.retrieve(providerPaymentId)
    if (!there) return [{ subject, detail: `the provider ${provider} is not switched on` }]
    const back = refundedMinorOf(there)
    if (there.takenMinor === capturedMinor && back === refundedMinor) return []
    const theirs = `${provider} took ${there.takenMinor} and refunded ${back}`
    return [
      { subject, detail: `${theirs}, the books say ${capturedMinor} and ${refundedMinor} (${providerPaymentId})` },
    ]
  } catch (error) {
    return [{ subject, detail: `${provider} could not be asked: ${(error as Error).message}` }]
  }
}
