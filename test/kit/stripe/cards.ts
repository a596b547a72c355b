/** What Stripe's test payment methods make of a payment, and a few of our own for what no test card of Stripe's does. */
export type Card = {
  readonly pays: 'at-once' | 'after-authentication' | 'later' | 'never'
  /** Why not, when it does not: also after authentication and after processing. */
  readonly decline?: { readonly code: string; readonly declineCode?: string; readonly message: string }
  readonly refunds?: 'pending' | 'fail'
  readonly disputed?: boolean
  readonly last4: string
}

const declined = (declineCode: string, message = 'Your card was declined.') => ({
  code: 'card_declined',
  declineCode,
  message,
})

const never = (last4: string, decline: Card['decline'] & {}): Card => ({ pays: 'never', decline, last4 })

const insufficient = never('9995', declined('insufficient_funds', 'Your card has insufficient funds.'))

const CARDS: Readonly<Record<string, Card>> = {
  pm_card_visa: { pays: 'at-once', last4: '4242' },
  pm_card_mastercard: { pays: 'at-once', last4: '4444' },
  pm_card_chargeDeclined: never('0002', declined('generic_decline')),
  pm_card_visa_chargeDeclined: never('0002', declined('generic_decline')),
  pm_card_chargeDeclinedInsufficientFunds: insufficient,
  pm_card_visa_chargeDeclinedInsufficientFunds: insufficient,
  pm_card_visa_chargeDeclinedLostCard: never('9987', declined('lost_card')),
  pm_card_visa_chargeDeclinedStolenCard: never('9979', declined('stolen_card')),
  pm_card_chargeDeclinedFraudulent: never('0019', declined('fraudulent')),
  pm_card_chargeDeclinedExpiredCard: never('0069', { code: 'expired_card', message: 'Your card has expired.' }),
  pm_card_chargeDeclinedIncorrectCvc: never('0127', {
    code: 'incorrect_cvc',
    message: "Your card's security code is incorrect.",
  }),
  pm_card_chargeDeclinedProcessingError: never('0119', {
    code: 'processing_error',
    message: 'An error occurred while processing your card. Try again in a little bit.',
  }),
  pm_card_authenticationRequired: { pays: 'after-authentication', last4: '3184' },
  pm_card_threeDSecure2Required: { pays: 'after-authentication', last4: '3220' },
  pm_card_threeDSecureRequiredChargeDeclined: {
    pays: 'after-authentication',
    decline: declined('generic_decline'),
    last4: '1629',
  },
  pm_card_createDispute: { pays: 'at-once', disputed: true, last4: '0259' },
  pm_card_pendingRefund: { pays: 'at-once', refunds: 'pending', last4: '7726' },
  pm_card_refundFail: { pays: 'at-once', refunds: 'fail', last4: '5126' },
  pm_processing: { pays: 'later', last4: '6789' },
  pm_processing_fail: { pays: 'later', decline: declined('generic_decline'), last4: '2227' },
}

/** The card behind a payment method's id; undefined when there is none. */
export const cardOf = (paymentMethod: string): Card | undefined => CARDS[paymentMethod]

/** The payment method as Stripe shows it. */
export const paymentMethodOf = (id: string) => ({
  id,
  object: 'payment_method',
  type: 'card',
  card: { brand: 'visa', last4: CARDS[id]?.last4 ?? '0000', country: 'US', exp_month: 12, exp_year: 2040 },
})
