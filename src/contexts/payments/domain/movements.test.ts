import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { minutesAfter } from '#kernel/clock.ts'
import { type Dispute, learnDisputes } from './dispute.ts'
import type { LedgerEntry } from './ledger.ts'
import type { Payment } from './payment.ts'
import type { ProviderDispute, ProviderPayment, ProviderRefund } from './provider-payment.ts'
import { learnRefunds, promiseRefund, type Refund } from './refund.ts'
import { decide } from './review.ts'

const now = new Date('2026-03-01T12:00:00Z')
const captured: Payment = {
  id: 'pay_1',
  orderId: 'ord_1',
  status: 'captured',
  amount: { amountMinor: 1000, currency: 'USD' },
  captureMinor: null,
  capturedMinor: 1000,
  refundedMinor: 0,
  refundingMinor: 0,
  provider: 'stripe',
  providerPaymentId: 'pi_1',
  objectsLeft: 0,
  authorisedUntil: null,
  reviewReason: null,
  payableUntil: minutesAfter(now, 15),
  openedAt: now,
  closingReason: null,
  closingSince: null,
  closeAt: null,
}
const found = (more: Partial<ProviderPayment>): ProviderPayment => ({
  provider: 'stripe',
  id: 'pi_1',
  reference: 'pay_1',
  attemptId: null,
  status: 'succeeded',
  amount: { amountMinor: 1000, currency: 'USD' },
  takenMinor: 1000,
  refunds: [],
  disputes: [],
  authorisedUntil: null,
  redirectUrl: null,
  clientSecret: null,
  decline: null,
  ...more,
})
const balance = (entries: readonly LedgerEntry[], account: string): number =>
  entries.reduce(
    (sum, { debit, credit, amount }) =>
      sum + (debit === account ? amount.amountMinor : 0) - (credit === account ? amount.amountMinor : 0),
    0,
  )

describe('refunds learned from the provider', () => {
  let serial = 0
  const newRefundId = () => `ref_there_${serial++}` as const
  const learn = (payment: Payment, known: readonly Refund[], refunds: readonly ProviderRefund[]) =>
    learnRefunds(payment, known, found({ refunds }), newRefundId, now)
  const promised = promiseRefund(captured, { id: 'ref_1', amountMinor: 600, reason: 'r', by: null }, now)
  const ours = { id: 're_1', refundId: 'ref_1', amountMinor: 600 } as const

  test('ours ends as it did there, once', () => {
    const sent = learn(promised.payment, [promised.refund], [{ ...ours, status: 'succeeded' }])
    expect(sent).toMatchObject({
      payment: { refundedMinor: 600, refundingMinor: 0 },
      refunds: [{ status: 'succeeded', providerRefundId: 're_1' }],
      newRefunds: [],
    })
    expect(learn(sent.payment, sent.refunds, [{ ...ours, status: 'succeeded' }])).toMatchObject({
      refunds: [],
      entries: [],
      events: [],
    })
  })

  test('one that fails after it was sent gives its money back to the payment and the books', () => {
    const sent = learn(promised.payment, [promised.refund], [{ ...ours, status: 'succeeded' }])
    const failed = learn(sent.payment, sent.refunds, [{ ...ours, status: 'failed' }])
    expect(failed.payment).toEqual(captured)
    expect(balance([...sent.entries, ...failed.entries], 'provider:stripe')).toBe(0)
    expect(failed.events).toMatchObject([{ type: 'payments.refund-failed.v1' }])
    // An older word that comes late.
    expect(learn(failed.payment, failed.refunds, [{ ...ours, status: 'succeeded' }]).payment).toBe(failed.payment)
  })

  test('one that failed makes room for another that was made there since, which the provider lists first', () => {
    const first = { id: 're_9', refundId: null, amountMinor: 1000, status: 'succeeded' } as const
    const sent = learn(captured, [], [first])
    const again = { ...first, id: 're_10' }
    expect(learn(sent.payment, sent.newRefunds, [again, { ...first, status: 'failed' }])).toMatchObject({
      payment: { refundedMinor: 1000, refundingMinor: 0 },
      refunds: [{ status: 'failed' }],
      newRefunds: [{ status: 'succeeded', providerRefundId: 're_10' }],
    })
  })

  test('one that was made at the provider itself is booked as it is', () => {
    const there = { id: 're_9', refundId: null, amountMinor: 250, status: 'succeeded' } as const
    const learned = learn(captured, [], [there])
    expect(learned).toMatchObject({
      payment: { refundedMinor: 250, refundingMinor: 0 },
      newRefunds: [{ status: 'succeeded', providerRefundId: 're_9', requestedBy: null }],
    })
    expect(balance(learned.entries, 'provider:stripe')).toBe(-250)
    expect(learn(learned.payment, learned.newRefunds, [there]).newRefunds).toEqual([])
  })

  test.each(['pending', 'failed'] as const)(
    'a surplus that somebody sent back by hand has gone back, ours %s',
    (status) => {
      const surplus: Refund = {
        ...{ ...promised.refund, id: 'ref_2', providerPaymentId: 'pi_2', surplus: true, status },
        amount: { amountMinor: 1000, currency: 'USD' },
      }
      const there = found({
        id: 'pi_2',
        refunds: [{ id: 're_7', refundId: null, amountMinor: 1000, status: 'succeeded' }],
      })
      const learned = learnRefunds(captured, [surplus], there, newRefundId, now)
      expect(learned).toMatchObject({
        payment: captured,
        refunds: [{ id: 'ref_2', status: 'succeeded', providerRefundId: 're_7' }],
        newRefunds: [],
        entries: [{ kind: 'refund', debit: 'surplus' }],
      })
      expect(learnRefunds(captured, learned.refunds, there, newRefundId, now).refunds).toEqual([])
    },
  )

  test('one that leaves no room for ours under way is heard again later', () => {
    const there = { id: 're_9', refundId: null, amountMinor: 500, status: 'succeeded' } as const
    expect(() => learn(promised.payment, [promised.refund], [there])).toThrow(/beside refunds under way/)
  })

  test('whatever states are heard in whatever order, sums are those of the rows and of the books', () => {
    const word = fc.array(
      fc.record({
        which: fc.constantFrom('ours', 'theirs'),
        status: fc.constantFrom('pending', 'succeeded', 'failed'),
      } as const),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(word, (words) => {
        let payment = promised.payment
        let refunds: Refund[] = [promised.refund]
        const entries: LedgerEntry[] = []
        for (const { which, status } of words) {
          const one = which === 'ours' ? ours : { id: 're_2', refundId: null, amountMinor: 300 }
          const learned = learn(payment, refunds, [{ ...one, status }])
          payment = learned.payment
          const changed = [...learned.refunds, ...learned.newRefunds]
          refunds = [...refunds.filter(({ id }) => !changed.some((each) => each.id === id)), ...changed]
          entries.push(...learned.entries)
        }
        const sum = (status: Refund['status']) =>
          refunds.filter((one) => one.status === status).reduce((total, { amount }) => total + amount.amountMinor, 0)
        expect([payment.refundedMinor, payment.refundingMinor]).toEqual([sum('succeeded'), sum('pending')])
        expect(balance(entries, 'provider:stripe') + payment.refundedMinor).toBe(0)
        expect(refunds.length).toBeLessThanOrEqual(2)
      }),
    )
  })
})

describe('disputes', () => {
  const dispute = (status: ProviderDispute['status'], id = 'dp_1'): ProviderDispute => ({
    ...{ id, status },
    amountMinor: 1000,
    reason: 'fraudulent',
  })
  const hear = (words: readonly ProviderDispute[][]) => {
    let payment = captured
    let known: Dispute[] = []
    const entries: LedgerEntry[] = []
    for (const disputes of words) {
      const learned = learnDisputes(payment, known, found({ disputes }), now)
      payment = learned.payment
      known = [
        ...known.filter((one) => !learned.disputes.some((each) => each.providerDisputeId === one.providerDisputeId)),
        ...learned.disputes,
      ]
      entries.push(...learned.entries)
    }
    return { payment, known, entries }
  }

  test.each([
    ['opened', [['open']], 'disputed', -1000, 1000, 0],
    ['won', [['open'], ['won']], 'captured', 0, 0, 0],
    ['lost', [['open'], ['lost']], 'lost', -1000, 0, 1000],
    ['lost, first heard when it was over', [['lost']], 'lost', -1000, 0, 1000],
    ['won, an older word after it', [['open'], ['won'], ['open']], 'captured', 0, 0, 0],
    ['heard three times', [['open'], ['open'], ['open']], 'disputed', -1000, 1000, 0],
  ] as const)('%s', (_what, words, status, provider, disputed, losses) => {
    const heard = hear(words.map((one) => one.map((each) => dispute(each))))
    expect(heard.payment.status).toBe(status)
    expect(['provider:stripe', 'disputed', 'losses'].map((account) => balance(heard.entries, account))).toEqual([
      provider,
      disputed,
      losses,
    ])
  })

  test('the payment is lost with the first lost one', () => {
    const both = [dispute('won', 'dp_1'), dispute('lost', 'dp_2')]
    expect(hear([[dispute('open', 'dp_1'), dispute('open', 'dp_2')], both]).payment.status).toBe('lost')
  })

  test('nothing goes back while a dispute is open', () => {
    const { payment } = hear([[dispute('open')]])
    expect(() => promiseRefund(payment, { id: 'ref_1', amountMinor: 1, reason: 'r', by: null }, now)).toThrow(
      expect.objectContaining({ code: 'payments.disputed' }),
    )
  })
})

describe('a review', () => {
  const held = {
    paymentId: 'pay_1',
    provider: 'stripe',
    providerPaymentId: 'pi_1',
    reason: 'pi_1 took 1',
    taken: { amountMinor: 1, currency: 'USD' },
  } as const
  const inReview: Payment = { ...captured, status: 'review', capturedMinor: 0, reviewReason: 'pi_1 took 1' }

  test('sends back what landed and opens the payment for another object', () => {
    const decided = decide(inReview, held, 'refund')
    expect(decided).toMatchObject({
      payment: { status: 'open', reviewReason: null, providerPaymentId: null, objectsLeft: 1, capturedMinor: 0 },
      capture: { surplus: true, amount: { amountMinor: 1 } },
      entries: [{ kind: 'capture', credit: 'surplus' }],
    })
  })

  test('takes less for the payment when somebody says so', () => {
    expect(decide(inReview, held, 'accept')).toMatchObject({
      payment: { status: 'captured', capturedMinor: 1, captureMinor: 1, reviewReason: null },
      capture: { surplus: false },
      events: [{ type: 'payments.captured.v1' }, { type: 'payments.review-ended.v1' }],
    })
  })

  test('moves nothing for what is none of its business, and closes with its order', () => {
    const closing = { ...inReview, closingReason: 'expired', closingSince: now, closeAt: now } as const
    expect(decide(closing, held, 'dismiss')).toMatchObject({
      payment: { status: 'cancelled', providerPaymentId: null, closeAt: null },
      capture: null,
      entries: [],
    })
  })

  test.each([
    ['another currency', { taken: { amountMinor: 1, currency: 'EUR' } }, 'accept', 'payments.cannot-accept'],
    ['more than is owed', { taken: { amountMinor: 1001, currency: 'USD' } }, 'accept', 'payments.cannot-accept'],
    ['nothing', { taken: { amountMinor: 0, currency: 'USD' } }, 'refund', 'payments.nothing-to-send-back'],
  ] as const)('refuses %s', (_what, more, decision, code) => {
    expect(() => decide(inReview, { ...held, ...more }, decision)).toThrow(expect.objectContaining({ code }))
  })

  test('refuses what does not wait', () => {
    const code = 'payments.not-in-review'
    expect(() => decide(captured, held, 'refund')).toThrow(expect.objectContaining({ code }))
    expect(() => decide(inReview, undefined, 'refund')).toThrow(expect.objectContaining({ code }))
  })
})
