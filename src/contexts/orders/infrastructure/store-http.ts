import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { MAX_CART_ITEMS, MAX_UNITS } from '../domain/cart.ts'
import type { StoreSettings } from '../domain/store-settings.ts'
import { taxIn } from '../domain/tax.ts'
import { StoreSchema, type StoreView } from './schemas.ts'

export type StoreFacts = {
  /** As it is, or was at most five seconds ago. */
  readonly checkoutState: () => Promise<StoreView['checkout']>
  readonly holdMinutes: number
  readonly paymentMethods: StoreView['paymentMethods']
}

/** What a shop window needs to know before anybody buys. */
export const storeRoutes =
  (settings: StoreSettings, { checkoutState, holdMinutes, paymentMethods }: StoreFacts): FastifyPluginAsyncTypebox =>
  async (app) => {
    const view: Omit<StoreView, 'checkout'> = {
      name: settings.name,
      currencies: [...settings.currencies],
      country: settings.country,
      countries: Object.entries(settings.taxes).map(([code, { rate, included }]) => {
        return { code, taxRate: rate, taxIncluded: included }
      }),
      taxIncluded: taxIn(settings, null).included,
      shippingCountries: [...settings.shippingCountries],
      paymentMethods,
      limits: { itemsPerCart: MAX_CART_ITEMS, unitsPerItem: MAX_UNITS, holdMinutes },
    }
    app.get(
      '/store',
      {
        schema: {
          operationId: 'readStore',
          summary: 'The store: currencies, countries, taxes, payment methods, limits',
          tags: ['store'],
          response: { 200: StoreSchema },
        },
        config: { permission: 'public' },
      },
      async (_request, reply) => {
        reply.header('cache-control', 'public, s-maxage=3')
        return { ...view, checkout: await checkoutState() }
      },
    )
  }
