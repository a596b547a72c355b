import { type Currency, isCurrency, type RateMillionths } from '#kernel/money.ts'

/** What a country takes of a price: a rate in millionths, and whether prices shown there already include it. */
export type CountryTax = { readonly rate: RateMillionths; readonly included: boolean }

/** A way to send goods at a flat price per currency; `countries` left out: wherever the store ships. */
export type ShippingMethod = {
  readonly id: string
  readonly title: string
  readonly prices: Readonly<Record<Currency, number>>
  readonly countries?: readonly string[]
  /** Left out: the highest rate in the cart. */
  readonly taxRate?: RateMillionths
}

/** What a merchant decides about the store as a whole. */
export type StoreSettings = {
  readonly name: string
  /** Whose taxes hold while nobody said where the goods go. */
  readonly country: string
  /** The first is the default. From the configuration, as prices of the catalogue are checked against them too. */
  readonly currencies: readonly Currency[]
  readonly shippingCountries: readonly string[]
  readonly taxes: Readonly<Record<string, CountryTax>>
  readonly shippingMethods: readonly ShippingMethod[]
}

const included = (rate: RateMillionths): CountryTax => ({ rate, included: true })
const onTop = (rate: RateMillionths): CountryTax => ({ rate, included: false })

/** A store in the United States; a file of the merchant's replaces any part of it. */
export const defaultStoreSettings: Omit<StoreSettings, 'currencies'> = {
  name: 'Stoa',
  country: 'US',
  shippingCountries: [
    'US',
    'CA',
    'GB',
    'IE',
    'DE',
    'FR',
    'NL',
    'BE',
    'ES',
    'IT',
    'AT',
    'CH',
    'SE',
    'DK',
    'PL',
    'JP',
    'AU',
  ],
  taxes: {
    US: onTop(0),
    CA: onTop(50_000),
    GB: included(200_000),
    IE: included(230_000),
    DE: included(190_000),
    FR: included(200_000),
    NL: included(210_000),
    BE: included(210_000),
    ES: included(210_000),
    IT: included(220_000),
    AT: included(200_000),
    CH: included(81_000),
    SE: included(250_000),
    DK: included(250_000),
    PL: included(230_000),
    JP: included(100_000),
    AU: included(100_000),
  },
  shippingMethods: [
    { id: 'standard', title: 'Standard', prices: { USD: 500, EUR: 500, GBP: 400, JPY: 700 } },
    { id: 'express', title: 'Express', prices: { USD: 1500, EUR: 1500, GBP: 1200, JPY: 2000 } },
  ],
}

/**
 * Reads a merchant's settings: an object with any of the keys of the defaults, the rest as by default.
 * Throws an Error that names the first wrong place and what belongs there.
 */
export function readStoreSettings(given: unknown, currencies: readonly Currency[]): StoreSettings {
  const file = objectAt('the store file', given)
  for (const key of Object.keys(file)) {
    if (!(key in defaultStoreSettings)) throw new Error(`${key}: the store file knows no such setting.`)
  }
  const settings: StoreSettings = {
    name: 'name' in file ? textAt('name', file.name) : defaultStoreSettings.name,
    country: 'country' in file ? countryAt('country', file.country) : defaultStoreSettings.country,
    currencies,
    shippingCountries:
      'shippingCountries' in file
        ? listAt('shippingCountries', file.shippingCountries, countryAt)
        : defaultStoreSettings.shippingCountries,
    taxes: 'taxes' in file ? recordAt('taxes', file.taxes, countryAt, taxAt) : defaultStoreSettings.taxes,
    shippingMethods:
      'shippingMethods' in file
        ? listAt('shippingMethods', file.shippingMethods, methodAt)
        : defaultStoreSettings.shippingMethods,
  }
  for (const country of [settings.country, ...settings.shippingCountries]) {
    if (!settings.taxes[country]) throw new Error(`taxes.${country}: a country of the store needs its tax rate.`)
  }
  for (const currency of currencies) {
    if (settings.shippingMethods.every((method) => method.prices[currency] === undefined))
      throw new Error(`shippingMethods: none has a price in ${currency}, which the store sells in.`)
  }
  return settings
}

type Reading<Value> = (place: string, value: unknown) => Value

function objectAt(place: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new Error(`${place}: expected an object.`)
}

const textAt: Reading<string> = (place, value) => {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= 200) return value
  throw new Error(`${place}: expected a text of 1 to 200 characters.`)
}

const countryAt: Reading<string> = (place, value) => {
  if (typeof value === 'string' && /^[A-Z]{2}$/.test(value)) return value
  throw new Error(`${place}: expected a country code of two capital letters, such as GB.`)
}

const currencyAt: Reading<Currency> = (place, value) => {
  if (typeof value === 'string' && isCurrency(value)) return value
  throw new Error(`${place}: expected an ISO 4217 currency, such as USD.`)
}

const amountAt: Reading<number> = (place, value) => {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new Error(`${place}: expected a whole number of minor units, 0 or more.`)
}

const rateAt: Reading<RateMillionths> = (place, value) => {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 1_000_000) return value as number
  throw new Error(`${place}: expected a rate in millionths, 0 to 1000000 (21 % is 210000).`)
}

const taxAt: Reading<CountryTax> = (place, value) => {
  const { rate, included, ...rest } = objectAt(place, value)
  refuseRest(place, rest)
  if (typeof included !== 'boolean') throw new Error(`${place}.included: expected true or false.`)
  return { rate: rateAt(`${place}.rate`, rate), included }
}

const methodAt: Reading<ShippingMethod> = (place, value) => {
  const { id, title, prices, countries, taxRate, ...rest } = objectAt(place, value)
  refuseRest(place, rest)
  return {
    id: textAt(`${place}.id`, id),
    title: textAt(`${place}.title`, title),
    prices: recordAt(`${place}.prices`, prices, currencyAt, amountAt),
    ...(countries === undefined ? {} : { countries: listAt(`${place}.countries`, countries, countryAt) }),
    ...(taxRate === undefined ? {} : { taxRate: rateAt(`${place}.taxRate`, taxRate) }),
  }
}

function listAt<Item>(place: string, value: unknown, item: Reading<Item>): Item[] {
  if (!Array.isArray(value) || value.length === 0) throw new Error(`${place}: expected a list with at least one entry.`)
  return value.map((entry, index) => item(`${place}[${index}]`, entry))
}

function recordAt<Value>(
  place: string,
  value: unknown,
  key: Reading<string>,
  of: Reading<Value>,
): Record<string, Value> {
  const entries = Object.entries(objectAt(place, value))
  return Object.fromEntries(
    entries.map(([name, each]) => [key(`${place}.${name}`, name), of(`${place}.${name}`, each)]),
  )
}

function refuseRest(place: string, rest: Record<string, unknown>): void {
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new Error(`${place}.${unknown}: no such setting.`)
}
