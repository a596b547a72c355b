import Stripe from 'stripe'
import { afterAll, describe, expect, test } from 'vitest'
import { makeStripeClient } from '../../../src/contexts/payments/infrastructure/stripe-client.ts'

const [OLD, NEW] = ['whsec_of_yesterday', 'whsec_of_today']
const clientWith = (secretKey: string) =>
  makeStripeClient({
    url: 'http://127.0.0.1:9',
    secretKey,
    webhookSecrets: [NEW, OLD],
    shopUrl: 'https://shop.example',
    timeoutMs: 100,
    clock: () => new Date(),
  })
const test_ = clientWith('sk_test_1')
const live = clientWith('sk_live_1')
afterAll(async () => {
  await test_.close()
  await live.close()
})

const NOW = new Date('2026-11-25T12:00:00Z')
const anEvent = (type: string, object: object, more: object = {}) => ({
  id: 'evt_1',
  object: 'event',
  api_version: '2026-10-28.endive',
  livemode: false,
  type,
  data: { object },
  ...more,
})
const read = (event: object, { secret = NEW, at = NOW, provider = test_ } = {}) => {
  const payload = JSON.stringify(event)
  const timestamp = at.getTime() / 1000
  const header = Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp })
  return provider.readWebhook({ 'stripe-signature': header }, Buffer.from(payload), NOW)
}
const ours = { id: 'pi_1', metadata: { paymentId: 'pay_1' } }

describe("Stripe's events", () => {
  test.each([
    ['payment_intent.succeeded', ours, 'pi_1', true],
    ['payment_intent.payment_failed', ours, 'pi_1', false],
    ['charge.succeeded', { id: 'ch_1', payment_intent: 'pi_1', captured: true }, 'pi_1', true],
    ['charge.succeeded', { id: 'ch_1', payment_intent: 'pi_1', captured: false }, 'pi_1', false],
    ['charge.captured', { id: 'ch_1', payment_intent: { id: 'pi_1' } }, 'pi_1', true],
    ['charge.refunded', { id: 'ch_1', payment_intent: 'pi_1' }, 'pi_1', false],
    ['charge.refund.updated', { id: 're_1', payment_intent: 'pi_1' }, 'pi_1', false],
    ['refund.failed', { id: 're_1', payment_intent: 'pi_1' }, 'pi_1', false],
    ['charge.dispute.created', { id: 'dp_1', payment_intent: 'pi_1' }, 'pi_1', false],
    ['charge.succeeded', { id: 'ch_1', payment_intent: null }, null, false],
    ['payment_intent.succeeded', { id: 'pi_of_another_shop', metadata: {} }, null, true],
    ['customer.created', { id: 'cus_1' }, null, false],
    ['a.type.of.2040', { id: 'x_1' }, null, false],
  ])('%s about %o', (type, object, providerPaymentId, claimsCapture) => {
    expect(read(anEvent(type, object))).toEqual({ eventId: 'evt_1', type, providerPaymentId, claimsCapture })
  })

  test.each([
    ['thin', { id: 'evt_1', object: 'v2.core.event', type: 'v1.billing.meter.error', livemode: false }],
    ['of another version', anEvent('payment_intent.succeeded', { id: 'pi_1' }, { api_version: '2014-01-31' })],
    ['without data', { id: 'evt_1', type: 'payment_intent.succeeded' }],
    ['with nothing in it', anEvent('charge.succeeded', null as unknown as object)],
  ])('an event %s is taken note of', (_what, event) => {
    expect(read(event)).toMatchObject({ eventId: 'evt_1' })
  })

  test('both secrets are accepted while one is rotated out, and no other', () => {
    const event = anEvent('payment_intent.succeeded', ours)
    expect(read(event, { secret: OLD })).toBeDefined()
    expect(read(event, { secret: NEW })).toBeDefined()
    expect(read(event, { secret: 'whsec_of_tomorrow' })).toBeUndefined()
  })

  test.each([
    [-299, true],
    [-301, false],
    [59, true],
    [61, false],
  ])('signed %i seconds from now: %s', (seconds, isTaken) => {
    const at = new Date(NOW.getTime() + seconds * 1000)
    expect(read(anEvent('payment_intent.succeeded', ours), { at }) !== undefined).toBe(isTaken)
  })

  test('a test event is nothing to a shop with a live key, and the other way round', () => {
    const event = anEvent('payment_intent.succeeded', ours)
    expect(read(event, { provider: live })).toBeUndefined()
    expect(read({ ...event, livemode: true }, { provider: live })).toBeDefined()
    expect(read({ ...event, livemode: true })).toBeUndefined()
  })

  test('what is no event, or has no fit signature, is none', () => {
    expect(read([1, 2])).toBeUndefined()
    expect(read({ type: 'payment_intent.succeeded' })).toBeUndefined()
    const body = Buffer.from('{"id":"evt_1","type":"x"}')
    for (const header of [undefined, '', 't=,v1=', 't=1', `t=${NOW.getTime() / 1000},v1=00`, ['t=1', 'v1=0']])
      expect(test_.readWebhook({ 'stripe-signature': header }, body, NOW)).toBeUndefined()
    const signed = Stripe.webhooks.generateTestHeaderString({
      payload: 'not json',
      secret: NEW,
      timestamp: NOW.getTime() / 1000,
    })
    expect(test_.readWebhook({ 'stripe-signature': signed }, Buffer.from('not json'), NOW)).toBeUndefined()
  })
})
