import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Order, OrderLine } from '#contexts/orders/domain/order.ts'
import { giveBack, type RefundPart, refundLines, shippingPaidMinor } from '#contexts/orders/domain/refund-lines.ts'
import { grossOf, type PricedLine, totalsOf } from '#contexts/orders/domain/totals.ts'
import type { CartItemId } from '#kernel/ids.ts'
import { SEED } from '../kit/chaos.ts'
import { verdict } from '../kit/verdict.ts'

const CASES = 10_000

/** Prices as they are in currencies of no, two and three decimals. */
const DECIMALS = { JPY: 0, USD: 2, KWD: 3 } as const
const currency = fc.constantFrom('JPY', 'USD', 'KWD')

const bought = currency.chain((code) => {
  const scale = 10 ** DECIMALS[code]
  const line: fc.Arbitrary<PricedLine> = fc.record({
    unitPriceMinor: fc.integer({ min: 0, max: 500 * scale }),
    quantity: fc.integer({ min: 1, max: 12 }),
    rate: fc.constantFrom(0, 50_000, 77_000, 100_000, 210_000),
    taxIncluded: fc.boolean(),
  })
  return fc.record({
    currency: fc.constant(code),
    lines: fc.array(line, { minLength: 1, maxLength: 4 }),
    priceMinor: fc.integer({ min: 0, max: 20 * scale }),
    discountMinor: fc.integer({ min: 0, max: 300 * scale }),
    taxIncluded: fc.boolean(),
  })
})

function orderOf({ currency: of, lines, priceMinor, discountMinor, taxIncluded }: Bought): Order {
  const totals = totalsOf(lines, { priceMinor, taxIncluded, rate: null }, discountMinor)
  const line = (amounts: (typeof totals.lines)[number], index: number) =>
    ({
      ...{ cancelled: 0, shipped: 0, returned: 0, refundedUnits: 0, refundedMinor: 0 },
      ...amounts,
      id: `item_${index}` as CartItemId,
      quantity: lines[index]?.quantity ?? 0,
    }) as OrderLine
  const { lines: amounts, ...sums } = totals
  const counted = { refundedMinor: 0, shippingRefundedMinor: 0, status: 'paid', currency: of }
  return { ...sums, ...counted, lines: amounts.map(line) } as unknown as Order
}
type Bought = typeof bought extends fc.Arbitrary<infer Of> ? Of : never

/** Steps: units of a line, or a part of the shipping, go back; some of these refunds fail later. */
const step = fc.record({
  line: fc.nat({ max: 3 }),
  units: fc.integer({ min: 1, max: 12 }),
  shippingMinor: fc.constantFrom<number | 'rest'>(0, 0, 1, 'rest'),
  fails: fc.integer({ min: 0, max: 3 }).map((one) => one === 0),
})

/** What a shop may ask for at this moment, of what the step names. */
function ask(
  order: Order,
  { line: at, units, shippingMinor }: { line: number; units: number; shippingMinor: number | 'rest' },
) {
  const line = order.lines[at % order.lines.length] as OrderLine
  const quantity = Math.min(units, line.quantity - line.refundedUnits)
  const left = shippingPaidMinor(order) - order.shippingRefundedMinor
  return {
    lines: quantity > 0 ? [{ itemId: line.id, quantity }] : [],
    shippingMinor: shippingMinor === 'rest' ? ('rest' as const) : Math.min(shippingMinor, left),
  }
}

const refused = (error: unknown) => (error as { code?: string }).code

describe('P8: splits sum exactly', () => {
  it('in any order of part refunds, with some that fail, of currencies with 0, 2 and 3 decimals', () => {
    let parts = 0
    const holds = fc.property(bought, fc.array(step, { minLength: 1, maxLength: 12 }), (given, steps) => {
      let order = orderOf(given)
      const sent: { parts: readonly RefundPart[]; amountMinor: number }[] = []
      const refund = (wanted: ReturnType<typeof ask>) => {
        try {
          const { state, parts: taken, amountMinor } = refundLines(order, wanted)
          order = state
          sent.push({ parts: taken, amountMinor })
          parts += taken.length
        } catch (error) {
          expect(refused(error)).toBe('orders.nothing-to-refund')
        }
      }
      for (const one of steps) {
        refund(ask(order, one))
        const failed = one.fails ? sent.shift() : undefined
        if (failed) order = giveBack(order, failed.parts)
      }
      const sum = (of: (part: RefundPart) => boolean) =>
        sent.flatMap((one) => one.parts.filter(of)).reduce((total, part) => total + part.amountMinor, 0)
      for (const line of order.lines) {
        expect(sum(({ itemId }) => itemId === line.id)).toBe(line.refundedMinor)
        expect(line.refundedMinor).toBeGreaterThanOrEqual(0)
        expect(line.refundedMinor).toBeLessThanOrEqual(grossOf(line))
      }
      refund({
        lines: order.lines
          .map((line) => ({ itemId: line.id, quantity: line.quantity - line.refundedUnits }))
          .filter(({ quantity }) => quantity > 0),
        shippingMinor: 'rest',
      })
      // What is left and worth nothing cannot be asked for: then the money is all there.
      for (const line of order.lines) expect(sum(({ itemId }) => itemId === line.id)).toBe(grossOf(line))
      expect(sum(({ itemId }) => itemId === null)).toBe(shippingPaidMinor(order))
      expect(sent.reduce((total, { amountMinor }) => total + amountMinor, 0)).toBe(order.totalMinor)
    })
    const checked = fc.check(holds, { numRuns: CASES, seed: SEED })
    const violations = checked.failed ? [fc.defaultReportMessage(checked) ?? ''] : []
    verdict({ promise: 'P8', tried: 'orders given back part by part', n: CASES, violations, seed: SEED })
    expect(parts).toBeGreaterThan(CASES)
  }, 60_000)
})
