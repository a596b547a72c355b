import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { minutesAfter } from '#kernel/clock.ts'
import { type Attempt, attemptTransitions, isLive } from './attempt.ts'
import { close } from './close.ts'
import { type Payment, paymentTransitions } from './payment.ts'
import type { ProviderPayment } from './provider-payment.ts'
import { failRefund, followRefund, promiseRefund, type Refund, refundableMinor } from './refund.ts'
import { settle } from './settle.ts'

const now = new Date('2026-03-01T12:00:00Z')
/** Past the lease of an attempt. */
const LATE = minutesAfter(now, 1)

const aPayment = (more: Partial<Payment> = {}): Payment => ({
  id: 'pay_1',
  orderId: 'ord_1',
  status: 'open',
  amount: { amountMinor: 1000, currency: 'USD' },
  captureMinor: null,
  capturedMinor: 0,
  refundedMinor: 0,
  refundingMinor: 0,
  provider: null,
  providerPaymentId: null,
  objectsLeft: 0,
  authorisedUntil: null,
  reviewReason: null,
  payableUntil: minutesAfter(now, 15),
  openedAt: now,
  closingReason: null,
  closingSince: null,
  closeAt: null,
  ...more,
})
const anAttempt = (more: Partial<Attempt> = {}): Attempt => ({
  id: 'att_1',
  paymentId: 'pay_1',
  status: 'created',
  redirectUrl: null,
  clientSecret: null,
  decline: null,
  leaseUntil: minutesAfter(now, 0.5),
  asked: 0,
  createdAt: now,
  endedAt: null,
  ...more,
})
const found = (more: Partial<ProviderPayment> = {}): ProviderPayment => ({
  provider: 'sandbox',
  id: 'sbx_1',
  reference: 'pay_1',
  attemptId: 'att_1',
  status: 'succeeded',
  amount: { amountMinor: 1000, currency: 'USD' },
  takenMinor: 1000,
  refunds: [],
  disputes: [],
  authorisedUntil: null,
  clientSecret: null,
  redirectUrl: null,
  decline: null,
  ...more,
})

/** What a provider may come to say about one payment: up to two objects, two attempts, right and wrong amounts. */
const word = fc
  .record({
    id: fc.constantFrom('sbx_1', 'sbx_2'),
    status: fc.constantFrom('declined', 'requiresAction', 'processing', 'authorised', 'succeeded', 'cancelled'),
    attemptId: fc.constantFrom('att_1', 'att_2', null),
    amountMinor: fc.constantFrom(1000, 1000, 1000, 999),
    reference: fc.constantFrom('pay_1', 'pay_1', 'pay_1', 'pay_2'),
  } as const)
  .map(({ amountMinor, status, ...more }) =>
    found({
      ...more,
      status,
      amount: { amountMinor, currency: 'USD' },
      takenMinor: status === 'succeeded' ? amountMinor : 0,
      redirectUrl: status === 'requiresAction' ? 'https://bank.example' : null,
    } as Partial<ProviderPayment>),
  )

function hear(words: readonly ProviderPayment[]) {
  let state = { payment: aPayment(), attempts: [anAttempt()] as readonly Attempt[] }
  const captures: string[] = []
  const surplus: string[] = []
  const events: string[] = []
  const paths: [string, string, object][] = []
  for (const one of words) {
    const next = settle(state.payment, state.attempts, { found: one }, now)
    paths.push([state.payment.status, next.payment.status, paymentTransitions])
    for (const [index, attempt] of next.attempts.entries())
      paths.push([state.attempts[index]?.status ?? '', attempt.status, attemptTransitions])
    if (next.capture) (next.capture.surplus ? surplus : captures).push(next.capture.providerPaymentId)
    events.push(...next.events.map(({ type }) => type))
    state = next
  }
  return { ...state, captures, surplus, events, paths }
}

describe('settling', () => {
  test.each(['authorised', 'requiresAction', 'processing'] as const)(
    'an object that is over is not taken up again by a word of before: %s',
    (status) => {
      const before = found({ status, takenMinor: 0 })
      const over = found({ status: 'cancelled', takenMinor: 0 })
      const { payment, attempts } = hear([before, over])
      expect(payment).toMatchObject({ status: 'open', providerPaymentId: null, objectsLeft: 1 })
      expect(settle(payment, attempts, { found: before }, now)).toMatchObject({ payment, attempts, events: [] })
      expect(settle(payment, attempts, { found: found() }, now).payment).toMatchObject({ status: 'captured' })
    },
  )

  test('whatever is heard, in whatever order: at most one capture, of the right amount, along legal paths', () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const { payment, attempts, captures, surplus, events, paths } = hear(words)
        expect(captures.length).toBeLessThanOrEqual(1)
        expect(events.filter((type) => type === 'payments.captured.v1')).toHaveLength(captures.length)
        expect(payment.capturedMinor).toBe(captures.length * 1000)
        expect(surplus).not.toContain(captures[0])
        for (const [from, to, table] of paths) {
          if (from !== to) expect((table as Record<string, string[]>)[from]).toContain(to)
        }
        for (const attempt of attempts) {
          expect(isLive(attempt)).toBe(attempt.endedAt === null)
          expect(attempt.status === 'declined' || attempt.status === 'cancelled').toBe(attempt.decline !== null)
          expect(attempt.status === 'requiresAction').toBe(attempt.redirectUrl !== null)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('hearing a success among anything else, once or often, early or late, captures it', () => {
    const others = fc.array(
      word.filter(({ status, id }) => status !== 'succeeded' && id === 'sbx_1'),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(others, fc.nat(6), fc.integer({ min: 1, max: 3 }), (words, place, times) => {
        const all = words.toSpliced(place, 0, ...Array.from({ length: times }, () => found()))
        const { payment, attempts } = hear(all)
        expect(payment.status).toBe('captured')
        expect(attempts[0]?.status).toBe('succeeded')
      }),
    )
  })

  test.each([
    ['another amount', { amount: { amountMinor: 999, currency: 'USD' }, takenMinor: 999 }],
    ['less than it asks for', { takenMinor: 999 }],
    ['another currency', { amount: { amountMinor: 1000, currency: 'EUR' } }],
    ['another reference', { reference: 'pay_2' }],
  ])('%s: held for review once, and the attempt stays live', (_what, more) => {
    const first = settle(
      aPayment({ provider: 'sandbox', providerPaymentId: 'sbx_1' }),
      [anAttempt()],
      { found: found(more) },
      now,
    )
    expect(first).toMatchObject({
      payment: { status: 'review', capturedMinor: 0 },
      capture: null,
      attempts: [{ status: 'processing' }],
    })
    expect(first.events.map(({ type }) => type)).toEqual(['payments.held-for-review.v1'])
    expect(settle(first.payment, first.attempts, { found: found(more) }, now).events).toEqual([])
  })

  test('money of another object beside an authorisation waits for a person; the authorisation stays', () => {
    const authorised = { provider: 'sandbox', providerPaymentId: 'sbx_1', authorisedUntil: minutesAfter(now, 60) }
    const other = found({ id: 'sbx_2', takenMinor: 999, amount: { amountMinor: 999, currency: 'USD' } })
    const payment = aPayment({ ...authorised, status: 'authorised', captureMinor: 500 })
    expect(settle(payment, [], { found: other }, now)).toMatchObject({
      payment: {
        status: 'authorised',
        captureMinor: 500,
        providerPaymentId: 'sbx_1',
        reviewReason: 'sbx_2 asks for 999',
      },
      held: { providerPaymentId: 'sbx_2' },
      capture: null,
    })
  })

  test('a webhook about an earlier attempt does not touch the one that is calling', () => {
    const earlier = found({ status: 'declined', attemptId: 'att_0' })
    expect(settle(aPayment(), [anAttempt()], { found: earlier }, now).attempts).toEqual([anAttempt()])
    expect(settle(aPayment(), [anAttempt()], { found: earlier }, LATE).attempts).toMatchObject([
      { status: 'declined', decline: { code: 'not-received', retryable: true } },
    ])
  })

  test('an object that shows a decline under the name of the one that is calling tells of the one before', () => {
    const declined = { found: found({ status: 'declined' }) }
    for (const status of ['created', 'unknown'] as const) {
      const attempts = [anAttempt({ status })]
      expect(settle(aPayment(), attempts, declined, now)).toMatchObject({ attempts, events: [] })
      const own = { ...declined, own: { attemptId: 'att_1', ended: 'answered' } } as const
      for (const told of [settle(aPayment(), attempts, own, now), settle(aPayment(), attempts, declined, LATE)])
        expect(told).toMatchObject({ attempts: [{ status: 'declined' }], events: [{ type: 'payments.declined.v1' }] })
    }
  })

  test('silence is asked about soon, then more rarely', () => {
    const silent = settle(aPayment(), [anAttempt()], { own: { attemptId: 'att_1', ended: 'silent' } }, now)
    expect(silent.attempts).toMatchObject([{ status: 'unknown', leaseUntil: new Date(now.getTime() + 5_000) }])
    const processing = (asked: number) =>
      settle(aPayment(), [anAttempt({ asked })], { found: found({ status: 'processing' }) }, now).attempts[0]
        ?.leaseUntil
    expect([0, 1, 2, 9].map(processing)).toEqual([0.5, 1, 2, 10].map((minutes) => minutesAfter(now, minutes)))
  })
})

describe('closing', () => {
  const limits = { processingMaxMinutes: 60, cancelsProcessing: false }
  const lapsed = { payableUntil: now }
  const there = { ...lapsed, provider: 'sandbox', providerPaymentId: 'sbx_1' }
  test.each([
    ['nothing happened', lapsed, undefined, 'cancelled', 'cancelled'],
    ['time left', {}, undefined, 'busy', 'open'],
    ['at the provider', there, undefined, 'busy', 'open'],
    [
      'asked for eight minutes in vain',
      { ...there, closingReason: 'expired', closingSince: minutesAfter(now, -8) },
      undefined,
      'busy',
      'open',
    ],
    [
      'asked for nine minutes in vain',
      { ...there, closingReason: 'expired', closingSince: minutesAfter(now, -9) },
      undefined,
      'cancelled',
      'cancelled',
    ],
    ['calling', lapsed, anAttempt(), 'busy', 'open'],
    ['processing', there, anAttempt({ status: 'processing' }), 'busy', 'open'],
    [
      'processing for too long',
      there,
      anAttempt({ status: 'processing', createdAt: minutesAfter(now, -60) }),
      'cancelled',
      'cancelled',
    ],
    ['captured', { status: 'captured' }, undefined, 'captured', 'captured'],
    ['in review', { status: 'review', reviewReason: 'x' }, undefined, 'busy', 'review'],
    ['cancelled', { status: 'cancelled' }, undefined, 'cancelled', 'cancelled'],
  ] as const)('a lapsed payment: %s', (_what, payment, live, outcome, status) => {
    const closed = close(aPayment(payment as Partial<Payment>), live, 'expired', now, limits)
    expect([closed.closing.outcome, closed.payment.status]).toEqual([outcome, status])
    if (closed.closing.outcome === 'busy') expect(closed.closing.until > now).toBe(true)
    const wasCancelled = (payment as Partial<Payment>).status === 'cancelled'
    expect(closed.events.length).toBe(outcome === 'cancelled' && !wasCancelled ? 1 : 0)
  })
})

test('who waits for a transfer can cancel it at any time', () => {
  const payment = aPayment({ provider: 'manual', providerPaymentId: 'manual_1' })
  const live = anAttempt({ status: 'processing' })
  const limits = { processingMaxMinutes: 10_000, cancelsProcessing: true }
  expect(close(payment, live, 'cancelled', now, limits)).toMatchObject({
    payment: { status: 'cancelled', closeAt: now },
    closing: { outcome: 'cancelled' },
  })
  expect(close({ ...payment, payableUntil: now }, live, 'expired', now, limits).closing.outcome).toBe('busy')
})

describe('refunds', () => {
  const captured = aPayment({
    status: 'captured',
    capturedMinor: 1000,
    provider: 'sandbox',
    providerPaymentId: 'sbx_1',
  })
  test('whatever is asked and however it ends: promised and sent never exceed captured, and sums are those of the rows', () => {
    const step = fc.record({ amountMinor: fc.integer({ min: 1, max: 700 }), sent: fc.boolean(), end: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let payment: Payment = captured
        const refunds: Refund[] = []
        for (const [index, { amountMinor, sent, end }] of steps.entries()) {
          const wanted = { id: `ref_${index}` as const, amountMinor, reason: 'r', by: null }
          if (amountMinor > refundableMinor(payment)) {
            expect(() => promiseRefund(payment, wanted, now)).toThrow()
            continue
          }
          const promised = promiseRefund(payment, wanted, now)
          const there = { id: 'sbx_ref', status: 'succeeded' } as const
          const over = () =>
            sent
              ? followRefund(promised.payment, promised.refund, there, now)
              : failRefund(promised.payment, promised.refund, now)
          const ended = end ? over() : promised
          if (end) expect(followRefund(ended.payment, ended.refund, there, now).payment).toBe(ended.payment)
          payment = ended.payment
          refunds.push(ended.refund)
        }
        const sum = (status: Refund['status']) =>
          refunds.filter((one) => one.status === status).reduce((total, { amount }) => total + amount.amountMinor, 0)
        expect([payment.refundedMinor, payment.refundingMinor]).toEqual([sum('succeeded'), sum('pending')])
        expect(payment.refundedMinor + payment.refundingMinor).toBeLessThanOrEqual(1000)
      }),
    )
  })
})
