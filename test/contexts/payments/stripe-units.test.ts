import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digitsOf } from '#kernel/money.ts'
import { fromStripe, stripeMinimumMinor, toStripe } from '../../../src/contexts/payments/infrastructure/stripe-units.ts'

/** The same money as a decimal, in our minor units and in Stripe's, which documents its own. */
const TABLE = [
  ['USD', '19.99', 1999, 1999],
  ['EUR', '19.99', 1999, 1999],
  ['GBP', '0.30', 30, 30],
  ['CHF', '7.05', 705, 705],
  ['BRL', '1234.56', 123456, 123456],
  ['MXN', '10.00', 1000, 1000],
  ['INR', '99.00', 9900, 9900],
  ['AED', '2.00', 200, 200],
  ['TWD', '800.45', 80045, 80045],
  ['JPY', '500', 500, 500],
  ['KRW', '12000', 12000, 12000],
  ['VND', '250000', 250000, 250000],
  ['CLP', '9990', 9990, 9990],
  ['PYG', '70000', 70000, 70000],
  ['XAF', '6500', 6500, 6500],
  ['XOF', '6500', 6500, 6500],
  ['XPF', '1200', 1200, 1200],
  ['RWF', '1300', 1300, 1300],
  ['BIF', '2900', 2900, 2900],
  ['ISK', '5', 5, 500],
  ['UGX', '3700', 3700, 370000],
  ['KWD', '1.230', 1230, 1230],
  ['BHD', '0.500', 500, 500],
  ['JOD', '10.990', 10990, 10990],
  ['OMR', '2.000', 2000, 2000],
  ['TND', '15.750', 15750, 15750],
] as const

const CURRENCIES = Intl.supportedValuesOf('currency')

describe("Stripe's units", () => {
  test.each(TABLE)('%s %s is %i to us and %i to Stripe', (currency, _decimal, amountMinor, theirs) => {
    expect(toStripe({ amountMinor, currency })).toBe(theirs)
    expect(fromStripe(theirs, currency)).toBe(amountMinor)
  })

  test('whatever Stripe can take comes back as it went', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CURRENCIES), fc.integer({ min: 0, max: 10 ** 12 }), (currency, amountMinor) => {
        const theirs = toStripe({ amountMinor, currency })
        fc.pre(theirs !== undefined)
        return fromStripe(theirs, currency) === amountMinor
      }),
    )
  })

  test('and what Stripe says, as it came', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CURRENCIES), fc.integer({ min: 0, max: 10 ** 10 }), (currency, theirs) => {
        const amountMinor = fromStripe(theirs, currency)
        fc.pre(amountMinor !== undefined)
        const back = toStripe({ amountMinor, currency })
        return back === theirs || (back === undefined && digitsOf(currency) === 3)
      }),
    )
  })

  test.each([
    ['KWD', 1235],
    ['BHD', 501],
    ['TND', 1],
  ])('%s that does not end in 0 is none that Stripe takes: %i', (currency, amountMinor) => {
    expect(toStripe({ amountMinor, currency })).toBeUndefined()
  })

  test.each([
    ['ISK', 550],
    ['UGX', 1],
    ['USD', 1.5],
    ['USD', -1],
    ['USD', '5'],
    ['USD', undefined],
    ['USD', Number.MAX_SAFE_INTEGER + 1],
  ])('%s of %s is no amount', (currency, amount) => {
    expect(fromStripe(amount, currency)).toBeUndefined()
  })

  test('an amount beyond what a number holds is refused, not rounded', () => {
    expect(toStripe({ amountMinor: Number.MAX_SAFE_INTEGER, currency: 'ISK' })).toBeUndefined()
  })

  test.each([
    ['USD', 50],
    ['GBP', 30],
    ['JPY', 50],
    ['DKK', 250],
    ['CZK', 1500],
    ['KWD', 10],
    ['ISK', 1],
  ])('the least of %s is %i, in our units', (currency, least) => {
    expect(stripeMinimumMinor(currency)).toBe(least)
  })
})
