import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { newId } from '#platform/ids.ts'
import { connectStripe } from '../../../src/contexts/payments/infrastructure/stripe-sdk-client.ts'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { type Opened, type StripeShop, stripeShop } from './stripe-shop.ts'

let at: StripeShop
beforeAll(async () => {
  at = await stripeShop()
})
afterAll(() => at.close())
afterEach(() => {
  at.stripe.clearFaults()
  enableFailpoints('')
  at.shop.clock.now = new Date()
})

const paid = { objects: 1, captured: 1999, refunded: 0 }
const CONFIRM = { method: 'POST', path: '/confirm$' }
const CREATE = { method: 'POST', path: '^/v1/payment_intents$' }

async function expectPaidOnce(payment: Opened) {
  expect(await at.read(payment)).toMatchObject({ status: 'captured', captured: { amountMinor: 1999 } })
  expect(at.witness(payment)).toEqual(paid)
}

test('shop fronts learn the publishable key, and nobody a secret one', async () => {
  const { body, text } = await at.shop.send('GET', '/v1/store')
  expect(body.paymentMethods).toEqual([{ id: 'stripe', publishableKey: 'pk_test_of_the_test' }])
  expect(text).not.toMatch(/sk_test|whsec/)
})

test('a card pays, once, whatever the webhooks say after', async () => {
  const payment = await at.openPayment()
  expect((await at.attempt(payment, 'pm_card_visa')).body).toMatchObject({ status: 'succeeded' })
  const types = ['payment_intent.succeeded', 'charge.succeeded', 'payment_intent.created', 'payment_intent.succeeded']
  expect(await at.tell(payment, ...types)).toEqual([204, 204, 204, 204])
  await expectPaidOnce(payment)
})

test('a declined card is told why, and another one pays on the same intent', async () => {
  const payment = await at.openPayment()
  const declined = await at.attempt(payment, 'pm_card_chargeDeclinedInsufficientFunds')
  expect(declined.body).toMatchObject({ status: 'declined', decline: { code: 'insufficient-funds', retryable: true } })
  const stolen = await at.attempt(payment, 'pm_card_visa_chargeDeclinedStolenCard')
  expect(stolen.body).toMatchObject({ status: 'declined', decline: { code: 'do-not-retry', retryable: false } })
  expect(stolen.text).not.toMatch(/stolen/i)
  expect((await at.attempt(payment, 'pm_card_visa')).body.status).toBe('succeeded')
  await at.tell(payment, 'payment_intent.payment_failed', 'payment_intent.succeeded')
  await expectPaidOnce(payment)
})

describe('3-D Secure', () => {
  const waiting = async (returnUrl?: string) => {
    const payment = await at.openPayment()
    const { body } = await at.attempt(
      payment,
      'pm_card_authenticationRequired',
      returnUrl === undefined ? {} : { returnUrl },
    )
    return { payment, body }
  }
  const decide = (url: string, verdict: 'approve' | 'refuse') =>
    fetch(`${url}/${verdict}`, { method: 'POST', redirect: 'manual' })

  test.each(['webhook', 'return'])('approved on its page, told by %s first', async (first) => {
    const { payment, body } = await waiting()
    expect(body).toMatchObject({ status: 'requiresAction', nextAction: { type: 'redirect' } })
    const back = await decide(body.nextAction.url, 'approve')
    expect(back.headers.get('location')).toMatch(/^https:\/\/shop\.example\/return\?payment_intent=/)
    if (first === 'webhook') await at.tell(payment, 'payment_intent.succeeded')
    else {
      at.shop.clock.advance(1)
      await at.shop.app.settle()
    }
    await expectPaidOnce(payment)
    await at.tell(payment, 'payment_intent.requires_action', 'payment_intent.succeeded')
    await expectPaidOnce(payment)
  })

  test('refused, it is declined, and the next card pays on the same intent', async () => {
    const { payment, body } = await waiting()
    await decide(body.nextAction.url, 'refuse')
    await at.tell(payment, 'payment_intent.payment_failed')
    expect((await at.read(payment)).attempts).toMatchObject([
      { status: 'declined', decline: { code: 'authentication-failed', retryable: true } },
    ])
    expect((await at.attempt(payment, 'pm_card_visa')).body.status).toBe('succeeded')
    await expectPaidOnce(payment)
  })

  test("without a page to come back to, Stripe's own script goes on with the client secret", async () => {
    const { payment, body } = await waiting('')
    expect(body).toMatchObject({ status: 'requiresAction', nextAction: { type: 'sdk' } })
    expect(body.clientSecret).toMatch(/^pi_\w+_secret_/)
    expect(JSON.stringify(await at.read(payment))).not.toContain(body.clientSecret)
  })
})

test('a buyer who came without a page to come back to after one with it is helped all the same', async () => {
  const payment = await at.openPayment()
  expect((await at.attempt(payment, 'pm_card_chargeDeclined')).body.status).toBe('declined')
  expect((await at.attempt(payment, 'pm_card_visa', { returnUrl: '' })).body.status).toBe('succeeded')
  await expectPaidOnce(payment)
})

test('Stripe is asked under our own keys, in one call, and is told nothing of this machine', async () => {
  const payment = await at.openPayment()
  const before = at.stripe.requests().length
  const { body } = await at.attempt(payment, 'pm_card_visa')
  const asked = at.stripe.requests().slice(before)
  expect(asked).toMatchObject([
    {
      method: 'POST',
      path: '/v1/payment_intents',
      key: payment.id,
      params: { metadata: { paymentId: payment.id, orderId: payment.orderId, attemptId: body.id } },
    },
  ])
})

test('what is logged of a failing call holds no secret of the buyer', async () => {
  const payment = await at.openPayment()
  const lines: unknown[] = []
  const warn = vi.spyOn(at.shop.app.log, 'warn').mockImplementation((...said: unknown[]) => void lines.push(said))
  try {
    await at.attempt(payment, 'pm_card_visa')
    const [intent] = at.stripe
      .events()
      .filter(({ type }) => type === 'payment_intent.succeeded')
      .slice(-1)
    const provider = at.shop.app.contexts.payments.providers.get('stripe')
    const refund = {
      refundId: newId('ref'),
      providerPaymentId: intent?.data.object.id,
      amount: { amountMinor: 9999, currency: 'USD' },
    }
    const error = await provider?.refund(refund).catch((thrown: unknown) => thrown)
    const missing = await provider?.retrieve('pi_missing').catch((thrown: unknown) => thrown)
    const { url, apiKey: secretKey } = at.stripe
    const sdk = connectStripe({ url, secretKey, timeoutMs: 1_000 })
    const held = await sdk
      .ask((there) => there.paymentIntents.confirm(refund.providerPaymentId))
      .catch((thrown) => thrown)
    await sdk.close()
    expect(held.intent.client_secret).toMatch(/_secret_/)
    for (const one of [error, missing, held, lines])
      expect(inspect(one, { depth: 9 }) + JSON.stringify(one)).not.toMatch(/_secret_|sk_test|Bearer|last4/)
  } finally {
    warn.mockRestore()
  }
})

describe('what gets lost on the way', () => {
  test.each([
    ['no answer after the effect', { kind: 'silence', at: 'after' }],
    ['a connection cut after the effect', { kind: 'reset', at: 'after' }],
    ['an error after the effect', { kind: 'error', at: 'after' }],
    ['a page instead of an answer after the effect', { kind: 'html', status: 502, at: 'after' }],
    ['half an answer', { kind: 'cut' }],
  ] as const)('%s: healed, and charged once', async (_what, fault) => {
    const payment = await at.openPayment()
    at.stripe.faults({ match: CREATE, fault })
    const { status } = await at.attempt(payment, 'pm_card_visa', { key: 'lost' })
    expect(status).toBe(201)
    at.shop.clock.advance(1)
    await at.shop.app.settle()
    await expectPaidOnce(payment)
    await at.tell(payment, 'payment_intent.succeeded')
    await expectPaidOnce(payment)
  })

  test.each(['payment.before-call', 'payment.after-call', 'payment.recorded'])(
    'a process that dies at %s: one charge, found without the search that lags',
    async (name) => {
      const payment = await at.openPayment()
      enableFailpoints(`${name}=error`)
      expect((await at.attempt(payment, 'pm_card_visa')).status).toBe(500)
      enableFailpoints('')
      at.shop.clock.advance(1)
      await at.shop.app.settle()
      if (name === 'payment.before-call')
        expect((await at.attempt(payment, 'pm_card_visa')).body).toMatchObject({ status: 'succeeded' })
      await expectPaidOnce(payment)
    },
  )

  test('a decline that is heard while the next card is charged is not the answer of that one, though its process dies', async () => {
    const payment = await at.openPayment()
    expect((await at.attempt(payment, 'pm_card_chargeDeclined')).body.status).toBe('declined')
    const confirmations = () => at.stripe.requests().filter(({ path }) => path.endsWith('/confirm')).length
    const before = confirmations()
    at.stripe.faults({ match: CONFIRM, fault: { kind: 'silence', at: 'before', delayMs: 800 } })
    enableFailpoints('payment.after-call=error')
    const dying = at.attempt(payment, 'pm_card_visa', { key: 'next' })
    while (confirmations() === before) await new Promise((resolve) => setTimeout(resolve, 10))
    await at.tell(payment, 'payment_intent.payment_failed')
    expect(at.witness(payment).captured).toBe(0)
    expect((await dying).status).toBe(500)
    enableFailpoints('')
    at.shop.clock.advance(1)
    expect((await at.attempt(payment, 'pm_card_visa', { key: 'next' })).body.status).toBe('succeeded')
    await expectPaidOnce(payment)
  })

  test('the webhook that comes before the answer, and the attempt that ends after', async () => {
    const payment = await at.openPayment()
    at.stripe.faults({ match: CREATE, fault: { kind: 'silence', at: 'after', delayMs: 300 } })
    const attempt = at.attempt(payment, 'pm_card_visa')
    while (at.witness(payment).captured === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    await at.tell(payment, 'payment_intent.succeeded')
    expect((await attempt).body).toMatchObject({ status: 'succeeded' })
    await expectPaidOnce(payment)
  })
})

test('refunds: a part, too much, and the rest', async () => {
  const payment = await at.openPayment()
  await at.attempt(payment, 'pm_card_visa')
  const refund = async (amountMinor: number) =>
    at.shop.send(
      'POST',
      `/v1/payments/${payment.id}/refunds`,
      { amount: { amountMinor, currency: 'USD' }, reason: 'too small' },
      await at.shop.asOwner(),
    )
  expect((await refund(500)).body).toMatchObject({ status: 'succeeded' })
  expect(await refund(1500)).toMatchObject({ status: 409, body: { code: 'payments.refund-exceeds-captured' } })
  expect((await refund(1499)).body).toMatchObject({ status: 'succeeded' })
  await at.tell(payment, 'charge.refunded', 'refund.created')
  expect(await at.read(payment)).toMatchObject({ refunded: { amountMinor: 1999 } })
  expect(at.witness(payment)).toEqual({ objects: 1, captured: 1999, refunded: 1999 })
})

test.each(['before', 'after'] as const)(
  'an error that stays with the key of a refund, %s its effect, does not hold it up for a day',
  async (moment) => {
    const payment = await at.openPayment()
    await at.attempt(payment, 'pm_card_visa')
    at.stripe.faults({
      match: { method: 'POST', path: '/refunds$' },
      fault: { kind: 'error', at: moment, kept: true },
    })
    const wanted = { amount: { amountMinor: 500, currency: 'USD' }, reason: 'too small' }
    const refunds = `/v1/payments/${payment.id}/refunds`
    const { body } = await at.shop.send('POST', refunds, wanted, await at.shop.asOwner())
    expect(body.status).toBe('succeeded')
    expect(await at.read(payment)).toMatchObject({ refunded: { amountMinor: 500 } })
    expect(at.witness(payment)).toEqual({ objects: 1, captured: 1999, refunded: 500 })
  },
)

test('krónur are paid in hundredths at Stripe, and are whole here', async () => {
  const payment = await at.openPayment(1500, 'ISK')
  expect((await at.attempt(payment, 'pm_card_visa')).body.status).toBe('succeeded')
  expect(await at.read(payment)).toMatchObject({ captured: { amountMinor: 1500, currency: 'ISK' } })
  expect(at.witness(payment).captured).toBe(150_000)
})

test('fils that Stripe cannot take are told before it is asked', async () => {
  const payment = await at.openPayment(12_345, 'KWD')
  expect((await at.attempt(payment, 'pm_card_visa')).body).toMatchObject({
    status: 'declined',
    decline: { code: 'amount-not-accepted', retryable: false },
  })
  expect(at.witness(payment).objects).toBe(0)
})

test('a payment method that Stripe does not know is told apart from a declined one, and stands in nobody’s way', async () => {
  const payment = await at.openPayment()
  expect((await at.attempt(payment, 'pm_nonsense')).body).toMatchObject({
    status: 'declined',
    decline: { code: 'invalid-token', retryable: true },
  })
  expect((await at.attempt(payment, 'pm_card_visa')).body.status).toBe('succeeded')
  await expectPaidOnce(payment)
})

describe('money that is only authorised', () => {
  let manual: StripeShop
  beforeAll(async () => {
    manual = await stripeShop({ PAYMENT_CAPTURE: 'manual' })
  })
  afterAll(() => manual.close())
  const capture = async ({ id }: Opened, amount?: object) =>
    manual.shop.send('POST', `/v1/payments/${id}/capture`, amount ? { amount } : {}, await manual.shop.asOwner())
  const intentsOf = ({ id }: Opened): string[] =>
    manual.stripe
      .events()
      .flatMap(({ data: { object } }) =>
        object.metadata?.paymentId === id && object.object === 'payment_intent' ? [object.id] : [],
      )
  const authorised = async (...of: Parameters<StripeShop['openPayment']>) => {
    const payment = await manual.openPayment(...of)
    expect((await manual.attempt(payment, 'pm_card_visa')).body.status).toBe('succeeded')
    expect(await manual.read(payment)).toMatchObject({ status: 'authorised', captured: { amountMinor: 0 } })
    return payment
  }

  test.each([1999, 1200])('%i of 1999 is captured, and the rest let go', async (amountMinor) => {
    const payment = await authorised()
    expect((await capture(payment, { amountMinor, currency: 'USD' })).body).toMatchObject({ status: 'succeeded' })
    await manual.tell(
      payment,
      'payment_intent.amount_capturable_updated',
      'charge.captured',
      'payment_intent.succeeded',
    )
    expect(await manual.read(payment)).toMatchObject({ status: 'captured', captured: { amountMinor } })
    expect(manual.witness(payment)).toEqual({ objects: 1, captured: amountMinor, refunded: 0 })
  })

  test.each(['before', 'after'] as const)(
    'an error that stays with the key of a capture, %s its effect, does not hold it up for a day',
    async (moment) => {
      const payment = await authorised()
      manual.stripe.faults({
        match: { method: 'POST', path: '/capture$' },
        fault: { kind: 'error', at: moment, kept: true },
      })
      expect((await capture(payment)).body.status).toBe('succeeded')
      expect(await manual.read(payment)).toMatchObject({ status: 'captured', captured: { amountMinor: 1999 } })
      expect(manual.witness(payment)).toEqual({ objects: 1, captured: 1999, refunded: 0 })
    },
  )

  test('what Stripe refuses to capture has failed, and another amount is taken', async () => {
    const payment = await authorised(20_000, 'KWD')
    expect((await capture(payment, { amountMinor: 1005, currency: 'KWD' })).body).toMatchObject({ status: 'failed' })
    expect(await manual.read(payment)).toMatchObject({ status: 'authorised', captured: { amountMinor: 0 } })
    expect((await capture(payment, { amountMinor: 1010, currency: 'KWD' })).body).toMatchObject({ status: 'succeeded' })
    expect(manual.witness(payment)).toEqual({ objects: 1, captured: 1010, refunded: 0 })
  })

  test('a capture that was under way ends with its authorisation: it takes nothing of the next one', async () => {
    const payment = await authorised()
    manual.stripe.faults({
      match: { method: 'POST', path: '/capture$' },
      fault: { kind: 'error', status: 500, at: 'before' },
      times: 3,
    })
    expect((await capture(payment, { amountMinor: 1200, currency: 'USD' })).body).toMatchObject({ status: 'pending' })
    manual.stripe.clearFaults()
    const [intent = ''] = intentsOf(payment)
    manual.stripe.lapse(intent)
    await manual.tell(payment, 'payment_intent.canceled')
    expect((await manual.attempt(payment, 'pm_card_visa')).body.status).toBe('succeeded')
    manual.shop.clock.advance(1)
    await manual.shop.app.settle()
    expect(await manual.read(payment)).toMatchObject({ status: 'authorised', captured: { amountMinor: 0 } })
    expect((await capture(payment)).body).toMatchObject({ status: 'succeeded' })
    expect(manual.witness(payment)).toEqual({ objects: 2, captured: 1999, refunded: 0 })
  })

  test('an authorisation that lapsed is taken note of, and not captured', async () => {
    const payment = await authorised()
    const [intent = ''] = intentsOf(payment)
    manual.stripe.lapse(intent)
    await manual.tell(payment, 'payment_intent.canceled')
    expect((await manual.read(payment)).status).not.toBe('authorised')
    expect((await capture(payment)).status).toBe(409)
    expect(manual.witness(payment)).toEqual({ objects: 1, captured: 0, refunded: 0 })
  })
})
