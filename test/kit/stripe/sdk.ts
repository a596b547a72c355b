import Stripe from 'stripe'

/** The real SDK on a double, which tries once unless said otherwise. */
export const sdkOf = (stripe: { port: number; apiKey: string }, more: Stripe.StripeConfig = {}): Stripe =>
  new Stripe(stripe.apiKey, {
    ...{ host: '127.0.0.1', port: stripe.port, protocol: 'http', telemetry: false, maxNetworkRetries: 0 },
    ...more,
  })

/** Twenty dollars, paid at once by card, for our payment `pay_1`; or what is asked instead. */
export const twentyDollars = (
  paymentMethod = 'pm_card_visa',
  more: Partial<Stripe.PaymentIntentCreateParams> = {},
): Stripe.PaymentIntentCreateParams => ({
  amount: 2000,
  currency: 'usd',
  confirm: true,
  payment_method: paymentMethod,
  allowed_payment_method_types: ['card'],
  metadata: { paymentId: 'pay_1' },
  ...more,
})

/** What a call fails with; fails when it does not. */
export const failureOf = (call: Promise<unknown>): Promise<any> =>
  call.then(
    () => {
      throw new Error('It should have failed.')
    },
    (error) => error,
  )
