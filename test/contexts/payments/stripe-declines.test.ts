import { describe, expect, test } from 'vitest'
import { toDecline, toRefusal } from '../../../src/contexts/payments/infrastructure/stripe-declines.ts'

describe("Stripe's declines", () => {
  test.each([
    ['generic_decline', 'card-declined', true],
    ['do_not_honor', 'card-declined', true],
    ['insufficient_funds', 'insufficient-funds', true],
    ['card_velocity_exceeded', 'limit-exceeded', true],
    ['expired_card', 'expired-card', true],
    ['incorrect_cvc', 'incorrect-cvc', true],
    ['incorrect_number', 'incorrect-number', true],
    ['incorrect_zip', 'incorrect-address', true],
    ['card_not_supported', 'card-not-supported', true],
    ['authentication_required', 'authentication-required', true],
    ['processing_error', 'processing-error', true],
    ['issuer_not_available', 'processing-error', true],
    ['stolen_card', 'do-not-retry', false],
    ['lost_card', 'do-not-retry', false],
    ['fraudulent', 'do-not-retry', false],
    ['pickup_card', 'do-not-retry', false],
    ['of_the_year_2040', 'card-declined', true],
  ])('%s is %s, retryable %s', (decline_code, code, retryable) => {
    expect(toDecline({ code: 'card_declined', decline_code })).toMatchObject({ code, retryable })
  })

  test('without a decline code the code says it', () => {
    expect(toDecline({ code: 'expired_card' })).toMatchObject({ code: 'expired-card' })
    expect(toDecline({ code: 'payment_intent_authentication_failure' })).toMatchObject({
      code: 'authentication-failed',
      retryable: true,
    })
  })

  test('a bank that wants no other try is obeyed', () => {
    const error = { code: 'card_declined', decline_code: 'generic_decline', advice_code: 'do_not_try_again' }
    expect(toDecline(error)).toMatchObject({ code: 'do-not-retry', retryable: false })
  })

  test('nobody learns that a card is stolen, lost or suspected', () => {
    const told = ['stolen_card', 'lost_card', 'fraudulent', 'security_violation', 'do_not_try_again'].map(
      (decline_code) => toDecline({ code: 'card_declined', decline_code }),
    )
    expect(new Set(told.map((decline) => JSON.stringify(decline))).size).toBe(1)
    expect(told[0]?.message).not.toMatch(/stolen|lost|fraud/i)
  })

  test.each([
    [{ code: 'resource_missing', param: 'payment_method' }, 'invalid-token', true],
    [{ code: 'resource_missing', param: 'confirmation_token' }, 'invalid-token', true],
    [{ code: 'amount_too_small', param: 'amount' }, 'amount-not-accepted', false],
    [{ code: 'parameter_invalid_integer', param: 'amount' }, 'amount-not-accepted', false],
    [{ code: 'parameter_unknown', param: 'colour' }, 'not-accepted', false],
    [{}, 'not-accepted', false],
  ])('a refusal %o is %s', (error, code, retryable) => {
    expect(toRefusal(error)).toMatchObject({ code, retryable })
  })
})
