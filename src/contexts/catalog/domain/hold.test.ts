import { expect, test } from 'vitest'
import { type HoldLine, type Offer, totalsOf, whyNotHeld } from './hold.ts'

const line = (over: Partial<HoldLine> = {}): HoldLine => ({
  ...{ variantId: 'var_a', quantity: 2, unitPriceMinor: 500, pointer: '/items/0' },
  ...over,
})
const offer = (over: Partial<Offer> = {}): Offer => ({ onSale: true, unitPriceMinor: 500, available: 1, ...over })

test('the same variant on two lines is one, in sum; at two prices it is none', () => {
  expect(totalsOf([line(), line({ variantId: 'var_b' }), line({ quantity: 3 })])).toEqual([
    line({ quantity: 5 }),
    line({ variantId: 'var_b' }),
  ])
  expect(() => totalsOf([line(), line({ unitPriceMinor: 400 })])).toThrow(
    expect.objectContaining({ code: 'catalog.price-moved' }),
  )
})

test.each([
  [
    'gone before anything else',
    [offer({ onSale: false, unitPriceMinor: 1 }), offer({ unitPriceMinor: 1 })],
    'catalog.not-for-sale',
    ['var_a'],
  ],
  ['unknown is gone', [undefined, offer()], 'catalog.not-for-sale', ['var_a']],
  ['another price before short stock', [offer(), offer({ unitPriceMinor: 1 })], 'catalog.price-moved', ['var_b']],
  ['no price is another price', [offer({ unitPriceMinor: null }), offer()], 'catalog.price-moved', ['var_a']],
  ['every short line is named', [offer(), offer({ available: 0 })], 'catalog.out-of-stock', ['var_a', 'var_b']],
] as const)('why not held: %s', (_what, [a, b], code, variants) => {
  const offers = new Map(
    [['var_a', a] as const, ['var_b', b] as const].flatMap(([id, one]) => (one ? [[id, one] as const] : [])),
  )
  const refusal = whyNotHeld([line(), line({ variantId: 'var_b', pointer: '/items/1' })], offers)
  expect(refusal.code).toBe(code)
  expect(refusal.facts.errors?.map((error) => error.variantId)).toEqual(variants)
})
