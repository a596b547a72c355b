import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { adjustStock, availableOf, changeStockRule, type Stock } from './stock.ts'

const stock = (over: Partial<Stock> = {}): Stock => ({
  ...{ variantId: 'var_1', location: 'main', onHand: 10, held: 2, committed: 3 },
  ...{ tracked: true, backOrder: false, shortage: 0 },
  ...over,
})
const anyStock = fc
  .record({
    ...{ onHand: fc.nat(1000), held: fc.nat(1000), committed: fc.nat(1000) },
    ...{ tracked: fc.boolean(), backOrder: fc.boolean() },
  })
  .map((some) => changeStockRule(stock(some), some))

/** The CHECK of catalog.stock. */
const isSound = (one: Stock) =>
  one.onHand >= 0 &&
  one.shortage >= 0 &&
  (!one.tracked || one.backOrder || one.held + one.committed <= one.onHand + one.shortage)

test.each([
  ['what is neither held nor committed', {}, 5],
  ['nothing when more is sold than there is', { onHand: 1, shortage: 4 }, 0],
  ['without limit when not tracked', { tracked: false }, null],
  ['without limit when back-ordered', { backOrder: true }, null],
])('available is %s', (_what, over, expected) => expect(availableOf(stock(over))).toBe(expected))

describe('an adjustment', () => {
  test.each([
    ['a change', { change: -5 }, { onHand: 5, shortage: 0 }],
    ['a count', { count: 7, expected: 10 }, { onHand: 7, shortage: 0 }],
    ['an allowed shortage', { change: -8, allowShortage: true }, { onHand: 2, shortage: 3 }],
  ])('%s', (_what, adjustment, expected) => expect(adjustStock(stock(), adjustment)).toMatchObject(expected))

  test.each([
    ['a count of other stock', { count: 7, expected: 9 }, 'catalog.stock-moved'],
    ['below zero', { change: -11, allowShortage: true }, 'catalog.stock-below-zero'],
    ['beyond the most', { change: 1_000_000_000 }, 'catalog.stock-below-zero'],
    ['less than is sold', { change: -6 }, 'catalog.stock-is-sold'],
  ])('refuses %s', (_what, adjustment, code) =>
    expect(() => adjustStock(stock(), adjustment)).toThrow(expect.objectContaining({ code })),
  )

  test('of short stock needs no leave unless it makes it shorter', () => {
    const short = stock({ onHand: 1, shortage: 4 })
    expect(adjustStock(short, { change: 2 })).toMatchObject({ onHand: 3, shortage: 2 })
    expect(() => adjustStock(short, { change: -1 })).toThrow(expect.objectContaining({ code: 'catalog.stock-is-sold' }))
  })

  test('always leaves sound stock, changed by exactly what was asked for', () =>
    fc.assert(
      fc.property(anyStock, fc.integer({ min: -1000, max: 1000 }), (before, change) => {
        fc.pre(before.onHand + change >= 0)
        const after = adjustStock(before, { change, allowShortage: true })
        expect(isSound(after)).toBe(true)
        expect(after).toEqual({ ...before, onHand: before.onHand + change, shortage: after.shortage })
        expect(adjustStock(after, { count: before.onHand, expected: after.onHand, allowShortage: true })).toEqual(
          before,
        )
      }),
    ))
})

test('another rule leaves sound stock: what was sold without limit becomes a shortage', () =>
  fc.assert(
    fc.property(anyStock, fc.boolean(), fc.boolean(), (before, tracked, backOrder) => {
      const after = changeStockRule(before, { tracked, backOrder })
      expect(isSound(after)).toBe(true)
      expect(after.onHand).toBe(before.onHand)
    }),
  ))
