import { invalid } from './failure.ts'

/** The least charges that Stripe documents, in its minor units. */
const DOCUMENTED: Readonly<Record<string, number>> = {
  ...{ aed: 200, bgn: 100, czk: 1500, dkk: 250, gbp: 30, hkd: 400, huf: 17500, jpy: 50, mxn: 1000, myr: 200, nok: 300 },
  ...{ pln: 200, ron: 200, sek: 300, thb: 1000 },
}
/** Of other currencies it takes the worth of half a dollar; these are about that, and all others are 50. */
const ABOUT: Readonly<Record<string, number>> = {
  ...{ isk: 10000, ugx: 200_000, krw: 500, bhd: 200, jod: 400, kwd: 200, omr: 200, tnd: 1500 },
}
const THREE_DECIMALS = ['bhd', 'jod', 'kwd', 'omr', 'tnd']
const KNOWN = new Set(Intl.supportedValuesOf('currency').map((currency) => currency.toLowerCase()))

/**
 * Refuses a charge that Stripe would: an unknown currency, too little or too much of it, krónur and Ugandan
 * shillings with decimals (they have two at Stripe, always 00), and a third decimal other than 0.
 */
export function checkCharge(currency: string, amount: number): void {
  if (!KNOWN.has(currency)) throw invalid(`Invalid currency: ${currency}`, 'currency')
  checkUnits(currency, amount)
  const least = DOCUMENTED[currency] ?? ABOUT[currency] ?? 50
  if (amount < least) throw invalid(`Amount must be at least ${least} ${currency}`, 'amount', 'amount_too_small')
  if (amount > 99_999_999) throw invalid(`Amount must be no more than 99999999`, 'amount', 'amount_too_large')
}

/** Refuses an amount with decimals that the currency has at Stripe only in name. */
export function checkUnits(currency: string, amount: number): void {
  if (['isk', 'ugx'].includes(currency) && amount % 100 !== 0)
    throw invalid(
      `Currency ${currency.toUpperCase()} has become effectively zero-decimal and charged amounts must be evenly divisible by 100.`,
      'amount',
      'invalid_charge_amount_no_decimal_compatible',
    )
  if (THREE_DECIMALS.includes(currency) && amount % 10 !== 0)
    throw invalid(`Amounts in ${currency} must end in 0.`, 'amount', 'parameter_invalid_integer')
}
