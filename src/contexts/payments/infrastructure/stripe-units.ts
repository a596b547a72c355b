import { type Currency, digitsOf, type Money, parseDecimal } from '#kernel/money.ts'

/**
 * Stripe's own minor units, where they are not hundredths. ISK and UGX have none any more, but Stripe still counts them in
 * hundredths that must be 00. https://docs.stripe.com/currencies
 */
const ZERO_DECIMAL = new Set('BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' '))
const THREE_DECIMAL = new Set('BHD JOD KWD OMR TND'.split(' '))

/** The least charge that Stripe documents, in whole and decimal units; of other currencies it says so when it is asked. */
const LEAST: Readonly<Record<Currency, string>> = {
  ...{ AED: '2', AUD: '0.50', BGN: '1', BRL: '0.50', CAD: '0.50', CHF: '0.50', CZK: '15', DKK: '2.50', EUR: '0.50' },
  ...{ GBP: '0.30', HKD: '4', HUF: '175', INR: '0.50', JPY: '50', MXN: '10', MYR: '2', NOK: '3', NZD: '0.50' },
  ...{ PLN: '2', RON: '2', SEK: '3', SGD: '0.50', THB: '10', USD: '0.50' },
}

const stripeDigitsOf = (currency: Currency): number =>
  ZERO_DECIMAL.has(currency) ? 0 : THREE_DECIMAL.has(currency) ? 3 : 2

/** How many of our minor units one step of what Stripe takes is: 10 for KWD, whose last digit must be 0, else 1. */
const stepOf = (currency: Currency): number =>
  THREE_DECIMAL.has(currency) ? 10 : 10 ** Math.max(digitsOf(currency) - stripeDigitsOf(currency), 0)

/** An amount in Stripe's minor units; undefined for one that Stripe cannot take, such as 1.005 KWD. */
export function toStripe({ amountMinor, currency }: Money): number | undefined {
  if (amountMinor % stepOf(currency) !== 0) return undefined
  const amount = shift(amountMinor, stripeDigitsOf(currency) - digitsOf(currency))
  return Number.isSafeInteger(amount) ? amount : undefined
}

/** An amount of Stripe's in our minor units; undefined for one that we have no units for, such as half a króna. */
export function fromStripe(amount: unknown, currency: Currency): number | undefined {
  const minor =
    typeof amount === 'number' && amount >= 0 ? shift(amount, digitsOf(currency) - stripeDigitsOf(currency)) : undefined
  return Number.isSafeInteger(minor) ? minor : undefined
}

/** Exact where the result is whole: a power of ten below one is not exact itself. */
const shift = (amount: number, digits: number): number => (digits < 0 ? amount / 10 ** -digits : amount * 10 ** digits)

/** The least amount that Stripe takes, in our minor units. */
export const stripeMinimumMinor = (currency: Currency): number =>
  parseDecimal(LEAST[currency] ?? '', currency) ?? stepOf(currency)
