import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#platform/ids.ts'
import {
  CaptureRefused,
  type Charge,
  type PaymentProvider,
} from '../../src/contexts/payments/application/payment-provider.ts'
import type { ProviderPayment } from '../../src/contexts/payments/domain/provider-payment.ts'
import { CANDIDATES, type Candidate, chargeOf, type Fate } from './payment-candidates.ts'

const amountOf = (amountMinor: number) => ({ amountMinor, currency: 'USD' })

describe.each(CANDIDATES)('what becomes of a payment at %s', (_name, start) => {
  let candidate: Candidate
  let provider: PaymentProvider
  beforeAll(async () => {
    candidate = await start()
    provider = candidate.provider
  })
  afterAll(async () => {
    await provider.close()
    await candidate.stranger.close()
    await candidate.close()
  })

  const aCharge = (more: Partial<Charge> = {}): Charge =>
    chargeOf({ capture: 'manual', token: candidate.tokens.ok, ...more })
  const paid = (more: Partial<Charge> = {}): Promise<ProviderPayment> =>
    provider.charge(aCharge({ capture: 'automatic', ...more }))
  const capture = (id: string, amountMinor: number, captureId = newId('cap')) =>
    provider.capture({ captureId, providerPaymentId: id, amount: amountOf(amountMinor) })

  test('says how long a payment may be processed, and the least that it takes', () => {
    expect(provider.processingMaxMinutes).toBeGreaterThanOrEqual(60)
    for (const currency of ['USD', 'EUR', 'JPY', 'KWD', 'ISK'])
      expect(provider.minimumMinor(currency)).toBeGreaterThan(0)
  })

  test('authorises without taking anything', async () => {
    const charge = aCharge()
    const held = await provider.charge(charge)
    expect(held).toMatchObject({ status: 'authorised', amount: amountOf(1999), takenMinor: 0, refunds: [] })
    expect(held.clientSecret).toBeNull()
    if (held.authorisedUntil) expect(held.authorisedUntil.getTime()).toBeGreaterThan(Date.now() + 6 * 86_400_000)
    expect(await candidate.witness(charge.paymentId)).toEqual({ objects: 1, captured: 0, refunded: 0 })
  })

  test.each([1999, 1200])('takes %i of 1999 authorised, once, however often it is asked', async (amountMinor) => {
    const charge = aCharge()
    const { id } = await provider.charge(charge)
    const captureId = newId('cap')
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => capture(id, amountMinor, captureId)))
    for (const answer of answers)
      expect(answer).toMatchObject({ id, status: 'succeeded', amount: amountOf(1999), takenMinor: amountMinor })
    expect(await provider.retrieve(id)).toEqual(answers[0])
    expect(await candidate.witness(charge.paymentId)).toEqual({ objects: 1, captured: amountMinor, refunded: 0 })
  })

  test('another capture of what is captured takes nothing more, and tells what is', async () => {
    const charge = aCharge()
    const { id } = await provider.charge(charge)
    await capture(id, 1000)
    expect(await capture(id, 999)).toMatchObject({ status: 'succeeded', takenMinor: 1000 })
    expect((await candidate.witness(charge.paymentId)).captured).toBe(1000)
  })

  test('an authorisation that was cancelled cannot be captured any more', async () => {
    const charge = aCharge()
    const { id } = await provider.charge(charge)
    expect(await provider.cancel(id)).toMatchObject({ status: 'cancelled', takenMinor: 0, authorisedUntil: null })
    await expect(capture(id, 1999)).rejects.toBeInstanceOf(CaptureRefused)
    expect((await candidate.witness(charge.paymentId)).captured).toBe(0)
  })

  test("hands the secret of the provider's script out while the buyer is waited for, and no longer", async () => {
    const charge = aCharge({ capture: 'automatic', token: candidate.tokens.requiresAction })
    const waiting = await provider.charge(charge)
    const isWithPage = waiting.redirectUrl !== null
    expect(waiting.status).toBe('requiresAction')
    expect(isWithPage || waiting.clientSecret !== null).toBe(true)
    await candidate.act(waiting.redirectUrl ?? '', 'approve')
    expect(await provider.retrieve(waiting.id)).toMatchObject({
      clientSecret: null,
      redirectUrl: null,
      takenMinor: 1999,
    })
  })

  test('lists what was made in a span, oldest first', async () => {
    const made: string[] = []
    for (const token of [candidate.tokens.ok, candidate.tokens.declined, candidate.tokens.ok])
      made.push((await provider.charge(aCharge({ token }))).id)
    const listed = async (from: number, before: number) => {
      const found: ProviderPayment[] = []
      for await (const one of provider.list({ from: new Date(from), before: new Date(before) })) found.push(one)
      return found.filter(({ id }) => made.includes(id))
    }
    const now = Date.now()
    const found = await listed(now - 60_000, now + 60_000)
    expect(found.map(({ id }) => id)).toEqual(made)
    expect(found.map(({ status }) => status)).toEqual(['authorised', 'declined', 'authorised'])
    expect(await listed(now + 60_000, now + 120_000)).toEqual([])
  })

  test('a refund is seen in its payment, by our id', async () => {
    const { id } = await paid()
    const refundId = newId('ref')
    const refund = await provider.refund({ refundId, providerPaymentId: id, amount: amountOf(500) })
    expect(refund).toMatchObject({ refundId, amountMinor: 500, status: 'succeeded' })
    expect((await provider.retrieve(id)).refunds).toEqual([refund])
  })

  describe('by fate', () => {
    const fateOf = ({ fate }: Candidate): Fate => {
      if (!fate) throw new Error('This provider lets nothing happen by itself.')
      return fate
    }
    const fated = (name: string, run: (fate: Fate) => Promise<void>) =>
      test(name, (context) => (candidate.fate ? run(fateOf(candidate)) : context.skip()))

    fated('an authorisation that lapsed is cancelled, and cannot be captured', async (fate) => {
      const { id } = await provider.charge(aCharge())
      await fate.lapse(id)
      expect(await provider.retrieve(id)).toMatchObject({ status: 'cancelled', takenMinor: 0 })
      await expect(capture(id, 1999)).rejects.toBeInstanceOf(CaptureRefused)
    })

    fated('a refund can be on its way, arrive, and fail even after it had arrived', async (fate) => {
      const { id } = await paid({ token: fate.pendingRefund })
      const refundId = newId('ref')
      const refund = await provider.refund({ refundId, providerPaymentId: id, amount: amountOf(1999) })
      expect(refund.status).toBe('pending')
      const status = async () => (await provider.retrieve(id)).refunds.map((one) => [one.refundId, one.status])
      expect(await status()).toEqual([[refundId, 'pending']])
      await fate.finishRefund(refund.id)
      expect(await status()).toEqual([[refundId, 'succeeded']])
      await fate.failRefund(refund.id)
      expect(await status()).toEqual([[refundId, 'failed']])
      const again = await provider.refund({ refundId: newId('ref'), providerPaymentId: id, amount: amountOf(1999) })
      expect(again.status).toBe('pending')
    })

    fated('a refund that failed is not made again under its id', async (fate) => {
      const { id } = await paid({ token: fate.pendingRefund })
      const refund = { refundId: newId('ref'), providerPaymentId: id, amount: amountOf(1999) }
      await fate.failRefund((await provider.refund(refund)).id)
      expect(await provider.refund(refund)).toMatchObject({ refundId: refund.refundId, status: 'failed' })
    })

    fated('a dispute is seen in its payment, won or lost', async (fate) => {
      for (const verdict of ['won', 'lost'] as const) {
        const { id } = await paid()
        expect((await provider.retrieve(id)).disputes).toEqual([])
        await fate.dispute(id, 1500)
        const { disputes, status, takenMinor } = await provider.retrieve(id)
        expect({ status, takenMinor }).toEqual({ status: 'succeeded', takenMinor: 1999 })
        expect(disputes).toMatchObject([{ amountMinor: 1500, status: 'open', reason: expect.any(String) }])
        await fate.closeDispute(disputes[0]?.id ?? '', verdict)
        expect((await provider.retrieve(id)).disputes).toMatchObject([{ id: disputes[0]?.id, status: verdict }])
      }
    })
  })
})
