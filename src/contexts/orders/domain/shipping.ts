import type { Currency, RateMillionths } from '#kernel/money.ts'
import type { StoreSettings } from './store-settings.ts'

/** A way to send this cart, at its price. */
export type ShippingOffer = {
  readonly id: string
  readonly title: string
  readonly priceMinor: number
  readonly taxRate: RateMillionths | null
}

/** The methods that have a price in this currency and go to this country (to any, while the country is unknown). */
export function shippingOffers(
  settings: StoreSettings,
  to: { readonly currency: Currency; readonly countryCode: string | null },
): ShippingOffer[] {
  const { currency, countryCode } = to
  if (countryCode !== null && !settings.shippingCountries.includes(countryCode)) return []
  return settings.shippingMethods.flatMap(({ id, title, prices, countries, taxRate }) => {
    const priceMinor = prices[currency]
    const goesThere = countryCode === null || !countries || countries.includes(countryCode)
    return priceMinor === undefined || !goesThere ? [] : [{ id, title, priceMinor, taxRate: taxRate ?? null }]
  })
}
