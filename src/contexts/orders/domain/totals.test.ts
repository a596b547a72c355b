import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Refusal } from '#kernel/refusal.ts'
import { grossOf, type PricedLine, refundForUnits, totalsOf } from './totals.ts'

const line = (unitPriceMinor: number, quantity = 1, rate = 210_000, taxIncluded = false): PricedLine => ({
  unitPriceMinor,
  quantity,
  rate,
  taxIncluded,
})
const shipping = (priceMinor: number, taxIncluded = false, rate: number | null = null) => ({
  priceMinor,
  taxIncluded,
  rate,
})

describe('totalsOf', () => {
  it('adds 45 + 49 + 4.96 at 21 %, the first two tax-inclusive, to 100.00', () => {
    const three = [line(4500, 1, 210_000, true), line(4900, 1, 210_000, true), line(496)]
    expect(totalsOf(three, shipping(0)).totalMinor).toBe(10_000)
    expect(totalsOf(three.slice(0, 2), shipping(496)).totalMinor).toBe(10_000)
  })

  it.each([
    ['exclusive', [line(1000, 2)], shipping(500), 0, { subtotal: 2000, tax: 420 + 105, total: 2000 + 500 + 525 }],
    [
      'inclusive',
      [line(1000, 2, 210_000, true)],
      shipping(500, true),
      0,
      { subtotal: 2000, tax: 347 + 87, total: 2500 },
    ],
    ['half a unit goes up', [line(250, 1, 10_000)], shipping(0), 0, { subtotal: 250, tax: 3, total: 253 }],
    ['not taxable', [line(1000, 1, 0)], shipping(500), 0, { subtotal: 1000, tax: 0, total: 1500 }],
    [
      'shipping takes the highest rate',
      [line(1000, 1, 0), line(1000)],
      shipping(100),
      0,
      { subtotal: 2000, tax: 231, total: 2331 },
    ],
    ['shipping has its own rate', [line(1000)], shipping(100, false, 0), 0, { subtotal: 1000, tax: 210, total: 1310 }],
    ['8.875 %', [line(1999, 1, 88_750)], shipping(0), 0, { subtotal: 1999, tax: 177, total: 2176 }],
    [
      'yen have no minor unit',
      [line(980, 3, 100_000, true)],
      shipping(700, true),
      0,
      { subtotal: 2940, tax: 267 + 64, total: 3640 },
    ],
    [
      'dinars have three digits',
      [line(12_345, 1, 50_000)],
      shipping(1_500),
      0,
      { subtotal: 12_345, tax: 617 + 75, total: 14_537 },
    ],
    [
      'tax after the discount',
      [line(1000), line(1000)],
      shipping(0),
      999,
      { subtotal: 2000, tax: 105 + 105, total: 1211 },
    ],
    ['nothing', [], shipping(0), 0, { subtotal: 0, tax: 0, total: 0 }],
  ])('%s', (_name, lines, ship, discount, expected) => {
    const { subtotalMinor: subtotal, taxMinor: tax, totalMinor: total } = totalsOf(lines, ship, discount)
    expect({ subtotal, tax, total }).toEqual(expected)
  })

  it('refuses what a number does not hold exactly', () => {
    expect(() => totalsOf([line(Number.MAX_SAFE_INTEGER, 2)], shipping(0))).toThrow(Refusal)
    expect(() => totalsOf([line(Number.MAX_SAFE_INTEGER), line(1)], shipping(0))).toThrow(Refusal)
  })

  const lines = fc.array(
    fc.record({
      unitPriceMinor: fc.nat(5_000_000),
      quantity: fc.integer({ min: 1, max: 999 }),
      rate: fc.constantFrom(0, 50_000, 88_750, 200_000, 210_000, 1_000_000),
      taxIncluded: fc.boolean(),
    }),
    { maxLength: 12 },
  )

  it('gives parts that sum exactly, whatever the lines and the discount', () => {
    fc.assert(
      fc.property(lines, fc.nat(1_000_000), fc.nat(10_000), fc.boolean(), (cart, discount, price, included) => {
        const totals = totalsOf(cart, shipping(price, included), discount)
        const sum = (pick: (line: (typeof totals.lines)[number]) => number) =>
          totals.lines.reduce((total, each) => total + pick(each), 0)
        expect(sum((each) => each.discountMinor)).toBe(totals.discountMinor)
        expect(sum((each) => each.taxMinor) + totals.shippingTaxMinor).toBe(totals.taxMinor)
        const shipped = totals.shippingMinor + (included ? 0 : totals.shippingTaxMinor)
        expect(sum(grossOf) + shipped).toBe(totals.totalMinor)
        for (const each of totals.lines) expect(each.totalMinor).toBe(each.subtotalMinor - each.discountMinor)
      }),
    )
  })

  it('refunds a line in any pieces to exactly what was paid, its tax too', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(lines, fc.nat(500_000), pieces, ([first = line(1999, 3)], discount, sizes) => {
        const quantity = sizes.reduce((sum, size) => sum + size, 0)
        const [bought] = totalsOf([{ ...first, quantity }], shipping(0), discount).lines
        if (!bought) throw new Error('one line')
        let before = 0
        const refunds = sizes.map((size) => {
          const refund = refundForUnits({ ...bought, quantity }, before, size)
          before += size
          return refund
        })
        expect(refunds.reduce((sum, refund) => sum + refund.amountMinor, 0)).toBe(grossOf(bought))
        expect(refunds.reduce((sum, refund) => sum + refund.taxMinor, 0)).toBe(bought.taxMinor)
        for (const { amountMinor, taxMinor } of refunds) expect(taxMinor).toBeLessThanOrEqual(amountMinor + 1)
      }),
    )
  })
})
