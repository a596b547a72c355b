import type { Decline } from '../domain/provider-payment.ts'

/** Our stable codes: what the buyer is told, and whether trying again can help. Nobody learns here that a card is stolen. */
const DECLINES = {
  'card-declined': ['The card was declined. Try another one.', true],
  'insufficient-funds': ['The card has not enough money for this. Try another one.', true],
  'limit-exceeded': ['The card has reached its limit. Try another one.', true],
  'expired-card': ['The card has expired. Try another one.', true],
  'incorrect-cvc': ["The card's security code is wrong. Check it and try again.", true],
  'incorrect-number': ["The card's number is wrong. Check it and try again.", true],
  'incorrect-expiry': ["The card's expiry date is wrong. Check it and try again.", true],
  'incorrect-address': ["The address is not the one of the card's bank. Check it and try again.", true],
  'card-not-supported': ['The card cannot be used for this. Try another one.', true],
  'authentication-required': ['The bank wants this payment approved. Try again and approve it.', true],
  'authentication-failed': ['The payment was not approved. Try again and approve it, or use another card.', true],
  'processing-error': ['The payment could not be processed. Try again in a moment.', true],
  'do-not-retry': ['The card was declined. Pay in another way.', false],
  'invalid-token': ['The payment provider does not accept this token.', true],
  'amount-not-accepted': ['The payment provider does not take this amount.', false],
  'not-accepted': ['The payment provider does not accept this payment. Pay in another way.', false],
} as const satisfies Record<string, readonly [message: string, retryable: boolean]>

type Code = keyof typeof DECLINES

/** Stripe's `decline_code`s, then its error codes. https://docs.stripe.com/declines/codes and /error-codes */
const OURS: Readonly<Record<string, Code>> = {
  insufficient_funds: 'insufficient-funds',
  ...each('limit-exceeded', 'card_velocity_exceeded withdrawal_count_limit_exceeded'),
  expired_card: 'expired-card',
  ...each('incorrect-cvc', 'incorrect_cvc invalid_cvc'),
  ...each('incorrect-number', 'incorrect_number invalid_number'),
  ...each('incorrect-expiry', 'invalid_expiry_month invalid_expiry_year'),
  ...each('incorrect-address', 'incorrect_address incorrect_zip'),
  ...each(
    'card-not-supported',
    'card_not_supported currency_not_supported invalid_account new_account_information_available',
  ),
  ...each('authentication-required', 'authentication_required authentication_not_handled'),
  ...each(
    'authentication-failed',
    'payment_intent_authentication_failure mobile_device_authentication_required payment_method_customer_decline ' +
      'payment_intent_payment_attempt_expired payment_intent_payment_attempt_failed',
  ),
  ...each(
    'processing-error',
    'processing_error issuer_not_available reenter_transaction try_again_later approve_with_id ' +
      'payment_method_provider_timeout',
  ),
  ...each(
    'do-not-retry',
    'fraudulent lost_card merchant_blacklist pickup_card restricted_card revocation_of_all_authorizations ' +
      'revocation_of_authorization security_violation stolen_card stop_payment_order do_not_try_again',
  ),
  ...each('amount-not-accepted', 'amount_too_small amount_too_large invalid_amount invalid_charge_amount'),
}

function each(ours: Code, theirs: string): Record<string, Code> {
  return Object.fromEntries(theirs.split(' ').map((code) => [code, ours]))
}

/** One of our declines. */
export const declineOf = (code: Code): Decline => {
  const [message, retryable] = DECLINES[code]
  return { code, message, retryable }
}

/** What a card error of Stripe's means: by its decline code, else by its code, else that the card was declined. */
export function toDecline(error: { decline_code?: unknown; code?: unknown; advice_code?: unknown }): Decline {
  const code = OURS[String(error.decline_code)] ?? OURS[String(error.code)] ?? 'card-declined'
  return declineOf(code === 'card-declined' && error.advice_code === 'do_not_try_again' ? 'do-not-retry' : code)
}

/** Why Stripe would not even begin: the token, the amount, or something that is not the buyer's to mend. */
export function toRefusal(error: { readonly code?: string | undefined; readonly param?: string | undefined }): Decline {
  const known = OURS[error.code ?? '']
  if (known) return declineOf(known)
  if (error.param === 'amount') return declineOf('amount-not-accepted')
  return declineOf(/^(payment_method|confirmation_token)/.test(error.param ?? '') ? 'invalid-token' : 'not-accepted')
}
