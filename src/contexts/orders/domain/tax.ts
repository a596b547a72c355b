import type { RateMillionths } from '#kernel/money.ts'
import type { CountryTax, StoreSettings } from './store-settings.ts'

/** The tax that holds where the goods go; the store's own country while that is unknown, or unknown to the store. */
export const taxIn = (settings: StoreSettings, countryCode: string | null): CountryTax =>
  settings.taxes[countryCode ?? settings.country] ?? (settings.taxes[settings.country] as CountryTax)

/** The rate that one line takes: none when the variant is not taxable. */
export const rateOf = (tax: CountryTax, goods: { readonly taxable: boolean }): RateMillionths =>
  goods.taxable ? tax.rate : 0
