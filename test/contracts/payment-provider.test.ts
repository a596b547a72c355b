import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#platform/ids.ts'
import { CallFailed } from '#platform/resilience/http-client.ts'
import {
  type Charge,
  ChargeRefused,
  type PaymentProvider,
  RefundRefused,
} from '../../src/contexts/payments/application/payment-provider.ts'
import type { ProviderPayment } from '../../src/contexts/payments/domain/provider-payment.ts'
import { manual } from './manual-candidate.ts'
import { type Ability, CANDIDATES, type Candidate, chargeOf, TIMEOUT_MS } from './payment-candidates.ts'

describe.each([...CANDIDATES, ['manual', manual] as const])('the payment provider %s', (name, start) => {
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

  const aCharge = (token: string, more: Partial<Charge> = {}): Charge => chargeOf({ token, ...more })

  const pay = async (charge: Charge): Promise<ProviderPayment> => {
    const made = await provider.charge(charge)
    return candidate.receive ? candidate.receive(made) : made
  }
  const needing = (ability: Ability, what: string, run: () => Promise<void>) =>
    test(what, (context) => (candidate.lacks?.includes(ability) ? context.skip() : run()))

  test('takes the money once, however often one attempt asks', async () => {
    const charge = aCharge(candidate.tokens.ok)
    const answers = await Promise.all(Array.from({ length: 20 }, () => pay(charge)))
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
    expect(answers[0]).toMatchObject({
      provider: name,
      reference: charge.paymentId,
      attemptId: charge.attemptId,
      status: 'succeeded',
      amount: charge.amount,
      takenMinor: 1999,
      refunds: [],
    })
    expect(await candidate.witness(charge.paymentId)).toEqual({ objects: 1, captured: 1999, refunded: 0 })
  })

  needing(
    'declines',
    'a declined payment is tried again on the same object, also when we have lost its id',
    async () => {
      const first = aCharge(candidate.tokens.declined)
      const declined = await provider.charge(first)
      expect(declined).toMatchObject({ status: 'declined', attemptId: first.attemptId, decline: { retryable: true } })
      const second = await provider.charge({ ...first, attemptId: newId('att') })
      expect(second).toMatchObject({ status: 'declined', id: declined.id })
      const known = { ...first, attemptId: newId('att'), token: candidate.tokens.ok, providerPaymentId: declined.id }
      expect(await provider.charge(known)).toMatchObject({
        ...{ status: 'succeeded', id: declined.id, decline: null },
        attemptId: known.attemptId,
      })
      expect(await candidate.witness(first.paymentId)).toEqual({ objects: 1, captured: 1999, refunded: 0 })
    },
  )

  test('another attempt on a payment that was made charges nothing and tells what is', async () => {
    const charge = aCharge(candidate.tokens.ok)
    const made = await pay(charge)
    const again = await provider.charge({ ...charge, attemptId: newId('att'), providerPaymentId: made.id })
    expect(again).toEqual(made)
    expect((await candidate.witness(charge.paymentId)).captured).toBe(1999)
  })

  for (const [verdict, status] of [
    ['approve', 'succeeded'],
    ['refuse', 'declined'],
  ] as const)
    needing('approval', `a payment that needs its buyer: ${verdict}`, async () => {
      const waiting = await provider.charge(aCharge(candidate.tokens.requiresAction))
      expect(waiting).toMatchObject({ status: 'requiresAction', redirectUrl: expect.stringMatching(/^http/) })
      await candidate.act(waiting.redirectUrl ?? '', verdict)
      expect(await provider.retrieve(waiting.id)).toMatchObject({ status, redirectUrl: null })
    })

  needing('webhooks', 'a payment that takes its time is told by webhook', async () => {
    const processing = await provider.charge(aCharge(candidate.tokens.processing))
    expect(processing.status).toBe('processing')
    await candidate.inbox.until((event) => event.providerPaymentId === processing.id && event.claimsCapture, provider)
    expect(await provider.retrieve(processing.id)).toMatchObject({ status: 'succeeded' })
  })

  needing('network', 'an answer after the time-out is no answer, and asking finds what happened', async () => {
    const charge = aCharge(candidate.failing('timeout'))
    const start = performance.now()
    await expect(provider.charge(charge)).rejects.toMatchObject({ answered: false })
    expect(performance.now() - start).toBeLessThan(TIMEOUT_MS + 300)
    expect(await provider.find(charge.paymentId)).toMatchObject([{ status: 'succeeded', attemptId: charge.attemptId }])
  })

  needing('network', 'an error is told from silence, and nothing happened', async () => {
    const charge = aCharge(candidate.failing('error'))
    const failed = await provider.charge(charge).catch((error) => error)
    expect(failed).toBeInstanceOf(CallFailed)
    expect(failed.answered).toBe(true)
    expect(await provider.find(charge.paymentId)).toEqual([])
  })

  test('a token that it does not know is refused before anything happens', async () => {
    const charge = aCharge(candidate.tokens.invalid)
    const refused = await provider.charge(charge).catch((error) => error)
    expect(refused).toBeInstanceOf(ChargeRefused)
    expect(refused.decline).toMatchObject({ code: 'invalid-token', retryable: true })
    expect((await candidate.witness(charge.paymentId)).objects).toBe(0)
  })

  needing('network', 'neither an error nor a refusal stands in the way of the next attempt', async () => {
    const charge = aCharge(candidate.failing('error'))
    await expect(provider.charge(charge)).rejects.toBeInstanceOf(CallFailed)
    const second = { ...charge, attemptId: newId('att'), token: candidate.tokens.invalid }
    await expect(provider.charge(second)).rejects.toBeInstanceOf(ChargeRefused)
    const third = { ...charge, attemptId: newId('att'), token: candidate.tokens.ok }
    expect(await provider.charge(third)).toMatchObject({ status: 'succeeded', attemptId: third.attemptId })
    expect(await candidate.witness(charge.paymentId)).toEqual({ objects: 1, captured: 1999, refunded: 0 })
  })

  test('cancels what is open and says when it is too late', async () => {
    const open = await provider.charge(aCharge(candidate.tokens.declined))
    expect(await provider.cancel(open.id)).toMatchObject({ status: 'cancelled' })
    expect(await provider.cancel(open.id)).toMatchObject({ status: 'cancelled' })
    const made = await pay(aCharge(candidate.tokens.ok))
    expect(await provider.cancel(made.id)).toMatchObject({ status: 'succeeded' })
  })

  test('refunds once per refund, and never more than was taken', async () => {
    const charge = aCharge(candidate.tokens.ok)
    const { id: providerPaymentId } = await pay(charge)
    const part = { refundId: newId('ref'), providerPaymentId, amount: { amountMinor: 1500, currency: 'USD' } }
    const made = await Promise.all(Array.from({ length: 5 }, () => provider.refund(part)))
    expect(new Set(made.map(({ id }) => id)).size).toBe(1)
    await expect(provider.refund({ ...part, refundId: newId('ref') })).rejects.toBeInstanceOf(RefundRefused)
    expect(await provider.retrieve(providerPaymentId)).toMatchObject({
      status: 'succeeded',
      refunds: [{ refundId: part.refundId, amountMinor: 1500, status: 'succeeded' }],
    })
    expect(await candidate.witness(charge.paymentId)).toEqual({ objects: 1, captured: 1999, refunded: 1500 })
  })

  test('of refunds at the same time only as many are made as there is money', async () => {
    const charge = aCharge(candidate.tokens.ok)
    const { id: providerPaymentId } = await pay(charge)
    const part = () => ({ refundId: newId('ref'), providerPaymentId, amount: { amountMinor: 900, currency: 'USD' } })
    const ended = await Promise.allSettled(Array.from({ length: 6 }, () => provider.refund(part())))
    const refused = ended.filter((one) => one.status === 'rejected' && one.reason instanceof RefundRefused)
    expect({ made: ended.filter(({ status }) => status === 'fulfilled').length, refused: refused.length }).toEqual({
      made: 2,
      refused: 4,
    })
    expect((await candidate.witness(charge.paymentId)).refunded).toBe(1800)
  })

  test('what is being made is listed and found again', async () => {
    const from = new Date(Date.now() - 60_000)
    const charge = aCharge(candidate.tokens.ok)
    const made = await pay(charge)
    const listed: string[] = []
    for await (const { id } of provider.list({ from, before: new Date(Date.now() + 60_000) })) listed.push(id)
    expect(listed.filter((id) => id === made.id)).toEqual([made.id])
  })

  needing('network', 'a refund that our key did not let in is not refused: it can still be made', async () => {
    const { id: providerPaymentId, amount } = await provider.charge(aCharge(candidate.tokens.ok))
    const refund = { refundId: newId('ref'), providerPaymentId, amount }
    const error = await candidate.stranger.refund(refund).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(CallFailed)
    expect(await provider.refund(refund)).toMatchObject({ status: 'succeeded' })
  })

  test('does not know a payment that is not there', async () => {
    await expect(provider.retrieve('sbx_pay_missing')).rejects.toThrow()
    expect(await provider.find(newId('pay'))).toEqual([])
  })

  needing('webhooks', 'its webhooks are genuine for five minutes, byte for byte', async () => {
    const made = await provider.charge(aCharge(candidate.tokens.ok))
    const { headers, body } = await candidate.inbox.until(
      ({ providerPaymentId, claimsCapture }) => providerPaymentId === made.id && claimsCapture,
      provider,
    )
    const minutesOn = (minutes: number) => new Date(Date.now() + minutes * 60_000)
    expect(provider.readWebhook(headers, body, new Date())).toMatchObject({
      providerPaymentId: made.id,
      claimsCapture: true,
    })
    expect(provider.readWebhook(headers, body, minutesOn(4))).toBeDefined()
    expect(provider.readWebhook(headers, body, minutesOn(6))).toBeUndefined()
    expect(provider.readWebhook(headers, body, minutesOn(-6))).toBeUndefined()
    expect(provider.readWebhook({}, body, new Date())).toBeUndefined()
    const reserialised = Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1))
    expect(provider.readWebhook(headers, reserialised, new Date())).toBeUndefined()
    const [header = '', value = ''] = Object.entries(headers).find(([key]) => key.endsWith('-signature')) ?? []
    const forged = String(value).replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    expect(provider.readWebhook({ ...headers, [header]: forged }, body, new Date())).toBeUndefined()
  })
})
