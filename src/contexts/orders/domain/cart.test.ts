import { describe, expect, it } from 'vitest'
import type { Address } from '#kernel/address.ts'
import type { VariantId } from '#kernel/ids.ts'
import { type Cart, type Goods, priceCart } from './cart.ts'
import { place } from './order.ts'
import { readStoreSettings } from './store-settings.ts'

const settings = readStoreSettings({}, ['USD', 'EUR', 'GBP', 'JPY'])
const [mug, card] = ['var_mug', 'var_card'] as VariantId[] as [VariantId, VariantId]
const address: Address = {
  name: 'Ann Lee',
  line1: '1 Main St',
  city: 'London',
  postalCode: 'N1 1AA',
  countryCode: 'GB',
}

const goods = (more: Partial<Goods> = {}): Goods => ({
  variantId: mug,
  productId: 'prod_mug',
  sku: null,
  title: 'Mug',
  variantTitle: null,
  options: {},
  image: null,
  unitPriceMinor: 1200,
  taxable: true,
  requiresShipping: true,
  available: 5,
  onSale: true,
  ...more,
})

const aCart = (more: Partial<Cart> = {}): Cart => ({
  id: 'cart_1',
  status: 'open',
  userId: null,
  orderId: null,
  locale: 'en',
  currency: 'USD',
  items: [{ id: 'item_1', variantId: mug, quantity: 2, metadata: {} }],
  email: 'ann@example.com',
  shippingAddress: address,
  billingAddress: null,
  shippingMethod: 'standard',
  note: null,
  metadata: {},
  ...more,
})

const shelf = (...all: Goods[]) => new Map(all.map((one) => [one.variantId, one]))
const codes = (cart: Cart, ...all: Goods[]) => priceCart(cart, shelf(...all), settings).problems.map(({ code }) => code)

describe('priceCart', () => {
  it('prices lines, shipping and the tax that British prices include', () => {
    const { totals, taxIncluded, problems } = priceCart(aCart(), shelf(goods()), settings)
    expect(totals).toMatchObject({ subtotalMinor: 2400, shippingMinor: 500, taxMinor: 400 + 83, totalMinor: 2900 })
    expect({ taxIncluded, problems }).toEqual({ taxIncluded: true, problems: [] })
  })

  it.each([
    ['nothing in it', aCart({ items: [] }), goods(), ['empty']],
    ['no e-mail', aCart({ email: null }), goods(), ['missing-email']],
    ['no address', aCart({ shippingAddress: null }), goods(), ['missing-address']],
    ['no method', aCart({ shippingMethod: null }), goods(), ['missing-shipping-method']],
    [
      'nothing at all',
      aCart({ email: null, shippingAddress: null, shippingMethod: null }),
      goods(),
      ['missing-email', 'missing-address', 'missing-shipping-method'],
    ],
    ['nothing to ship', aCart({ shippingAddress: null, shippingMethod: null }), goods({ requiresShipping: false }), []],
    ['too few', aCart(), goods({ available: 1 }), ['out-of-stock']],
    ['no limit', aCart(), goods({ available: null }), []],
    ['no price', aCart(), goods({ unitPriceMinor: null }), ['no-price']],
    ['archived', aCart(), goods({ onSale: false }), ['not-for-sale']],
    ['gone', aCart(), goods({ variantId: card }), ['not-for-sale']],
  ])('says what blocks it: %s', (_name, cart, one, expected) => {
    expect(codes(cart, one)).toEqual(expected)
  })

  it('offers no shipping where nothing needs it, and charges none', () => {
    const { shippingOffers, totals } = priceCart(aCart(), shelf(goods({ requiresShipping: false })), settings)
    expect({ shippingOffers, shipping: totals.shippingMinor }).toEqual({ shippingOffers: [], shipping: 0 })
  })
})

describe('place', () => {
  const draft = {
    id: 'ord_1',
    number: '1001',
    buyerId: null,
    paymentId: 'pay_1',
    locale: 'en',
    holdUntil: new Date(900_000),
  } as const
  const from = (cart: Cart, ...all: Goods[]) => place(priceCart(cart, shelf(...all), settings), draft, new Date(0))

  it('makes a pending order that keeps what was bought', () => {
    const { state, events } = from(aCart(), goods())
    expect(state).toMatchObject({
      status: 'pending',
      totalMinor: 2900,
      holdUntil: draft.holdUntil,
      shippingMethod: { id: 'standard' },
    })
    expect(state.lines).toMatchObject([
      { title: 'Mug', quantity: 2, unitPriceMinor: 1200, totalMinor: 2400, taxMinor: 400 },
    ])
    expect(events.map(({ type }) => type)).toEqual(['orders.placed.v1'])
  })

  it('is paid at once when there is nothing to pay', () => {
    const free = goods({ unitPriceMinor: 0, requiresShipping: false })
    const { state, events } = from(aCart(), free)
    expect(state).toMatchObject({ status: 'paid', totalMinor: 0, holdUntil: null })
    expect(events.map(({ type }) => type)).toEqual(['orders.placed.v1', 'orders.paid.v1'])
  })

  it('refuses an empty cart, and names all that is missing', () => {
    expect(() => from(aCart({ items: [] }))).toThrow(expect.objectContaining({ code: 'orders.empty' }))
    expect(() => from(aCart({ email: null, shippingAddress: null }), goods())).toThrow(
      expect.objectContaining({
        code: 'orders.not-ready',
        facts: {
          errors: [
            expect.objectContaining({ pointer: '/email' }),
            expect.objectContaining({ pointer: '/shippingAddress' }),
          ],
        },
      }),
    )
  })

  it('leaves stock to whoever holds it: what the cart knew of it may be old', () => {
    expect(from(aCart(), goods({ available: 0 })).state.status).toBe('pending')
  })
})

describe('readStoreSettings', () => {
  it.each([
    ['a list', [], 'the store file: expected an object.'],
    ['an unknown key', { colour: 'red' }, 'colour: the store file knows no such setting.'],
    ['a blank name', { name: ' ' }, 'name: expected a text of 1 to 200 characters.'],
    ['a country name', { country: 'Britain' }, 'country: expected a country code of two capital letters, such as GB.'],
    ['a country without a rate', { country: 'BR' }, 'taxes.BR: a country of the store needs its tax rate.'],
    [
      'a percentage',
      { taxes: { US: { rate: 0.21, included: true } } },
      'taxes.US.rate: expected a rate in millionths, 0 to 1000000 (21 % is 210000).',
    ],
    [
      'a word for a truth',
      { taxes: { US: { rate: 0, included: 'no' } } },
      'taxes.US.included: expected true or false.',
    ],
    [
      'a misspelt key',
      { shippingMethods: [{ id: 'a', title: 'A', prices: { USD: 1 }, price: 2 }] },
      'shippingMethods[0].price: no such setting.',
    ],
    [
      'a fraction of a cent',
      { shippingMethods: [{ id: 'a', title: 'A', prices: { USD: 1.5 } }] },
      'shippingMethods[0].prices.USD: expected a whole number of minor units, 0 or more.',
    ],
    [
      'a currency that nothing ships in',
      { shippingMethods: [{ id: 'a', title: 'A', prices: { USD: 1 } }] },
      'shippingMethods: none has a price in EUR, which the store sells in.',
    ],
  ])('refuses %s', (_name, file, message) => {
    expect(() => readStoreSettings(file, ['USD', 'EUR'])).toThrow(message)
  })

  it('takes part of a file and keeps the rest', () => {
    const read = readStoreSettings(
      { name: 'Mugs & Co', shippingMethods: [{ id: 'post', title: 'Post', prices: { USD: 0 } }] },
      ['USD'],
    )
    expect(read).toMatchObject({
      name: 'Mugs & Co',
      country: 'US',
      currencies: ['USD'],
      shippingMethods: [{ id: 'post' }],
    })
  })
})
