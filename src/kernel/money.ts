/** An ISO 4217 code, such as `USD`. */
export type Currency = string

/** Money is an integer of minor units (cents for USD, yen for JPY, fils for KWD) and never a float. */
export type Money = { readonly amountMinor: number; readonly currency: Currency }

/** A rate in millionths: 21 % is 210000, 8.875 % is 88750. */
export type RateMillionths = number

const MILLION = 1_000_000n
const KNOWN = new Set(Intl.supportedValuesOf('currency'))

/** Where ISO 4217's minor unit is no hundredth. Intl would tell what people write instead: no fillér in HUF, no sen in IDR. */
const DIGITS = new Map<Currency, number>([
  ...'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'.split(' ').map((code) => [code, 0] as const),
  ...'BHD IQD JOD KWD LYD OMR TND'.split(' ').map((code) => [code, 3] as const),
])

/** Whether this is a currency that ISO 4217 knows. */
export const isCurrency = (code: string): boolean => KNOWN.has(code)

/** How many digits the minor unit has in ISO 4217: JPY 0, USD 2, KWD 3. Throws a RangeError for an unknown currency. */
export function digitsOf(currency: Currency): number {
  if (!isCurrency(currency)) throw new RangeError(`${currency} is not an ISO 4217 currency.`)
  return DIGITS.get(currency) ?? 2
}

/** Makes money; throws a RangeError for a fraction or beyond what a number holds exactly. */
export function money(amountMinor: number, currency: Currency): Money {
  if (!Number.isSafeInteger(amountMinor)) throw new RangeError(`${amountMinor} is not a whole number of minor units.`)
  return { amountMinor, currency }
}

/** Reads a decimal text such as `19.99` exactly into minor units; undefined when it is none, or finer than the currency. */
export function parseDecimal(text: string, currency: Currency): number | undefined {
  const match = /^(-?)(\d{1,13})(?:\.(\d+))?$/.exec(text.trim())
  if (!match) return undefined
  const [, sign = '', whole = '0', fraction = ''] = match
  const digits = digitsOf(currency)
  if (/[1-9]/.test(fraction.slice(digits))) return undefined
  const minor = Number(whole + fraction.slice(0, digits).padEnd(digits, '0'))
  if (!Number.isSafeInteger(minor)) return undefined
  return sign && minor !== 0 ? -minor : minor
}

/** Writes minor units as a plain decimal: 1999 USD is `19.99`, 500 JPY is `500`. */
export function toDecimal({ amountMinor, currency }: Money): string {
  const digits = digitsOf(currency)
  const text = String(Math.abs(amountMinor)).padStart(digits + 1, '0')
  const sign = amountMinor < 0 ? '-' : ''
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** Writes money for people, exactly: 123456 USD is `$1,234.56` in `en`, `1.234,56 $` in `de`. */
export function formatMoney(amount: Money, locale: string): string {
  const { currency } = amount
  const [minimumFractionDigits, maximumFractionDigits] = [digitsOf(currency), digitsOf(currency)]
  const options = { style: 'currency', currency, minimumFractionDigits, maximumFractionDigits } as const
  return new Intl.NumberFormat(locale, options).format(toDecimal(amount) as Intl.StringNumericLiteral)
}

/** `amountMinor × numerator ÷ denominator`, exact, rounded half away from zero. */
export function multiplyHalfUp(amountMinor: number, numerator: bigint, denominator: bigint): number {
  const product = BigInt(amountMinor) * numerator
  const magnitude = product < 0n ? -product : product
  const rounded = (2n * magnitude + denominator) / (2n * denominator)
  return Number(product < 0n ? -rounded : rounded)
}

/** The tax on top of a net amount. */
export const taxOnNet = (netMinor: number, rate: RateMillionths): number =>
  multiplyHalfUp(netMinor, BigInt(rate), MILLION)

/** The tax inside a gross amount. */
export const taxInGross = (grossMinor: number, rate: RateMillionths): number =>
  multiplyHalfUp(grossMinor, BigInt(rate), MILLION + BigInt(rate))

/**
 * Splits an amount in proportion to weights, by largest remainder: the parts sum to the amount exactly, and the units
 * that rounding leaves over go to the largest fractions, earlier ones first. With no positive weight all parts are 0
 * unless there is an amount to place, which then is split evenly.
 */
export function allocate(amountMinor: number, weights: readonly number[]): number[] {
  if (weights.length === 0) {
    if (amountMinor !== 0) throw new RangeError('Nothing to allocate to.')
    return []
  }
  const total = weights.reduce((sum, weight) => sum + BigInt(weight), 0n)
  if (total === 0n)
    return amountMinor === 0
      ? weights.map(() => 0)
      : allocate(
          amountMinor,
          weights.map(() => 1),
        )
  const magnitude = BigInt(Math.abs(amountMinor))
  const shares = weights.map((weight, index) => {
    const product = magnitude * BigInt(weight)
    return { index, units: product / total, remainder: product % total }
  })
  let left = magnitude - shares.reduce((sum, share) => sum + share.units, 0n)
  for (const share of [...shares].sort((a, b) => Number(b.remainder - a.remainder) || a.index - b.index)) {
    if (left === 0n) break
    share.units += 1n
    left -= 1n
  }
  return shares.map((share) => (amountMinor < 0 ? -Number(share.units) || 0 : Number(share.units)))
}
