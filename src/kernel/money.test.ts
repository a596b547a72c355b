import { describe, expect, test } from 'vitest'
import { digitsOf, formatMoney, parseDecimal, toDecimal } from './money.ts'

describe('minor units are those of ISO 4217, not what people write', () => {
  test.each([
    ['JPY', 0, '1234'],
    ['ISK', 0, '1234'],
    ['UGX', 0, '1234'],
    ['KRW', 0, '1234'],
    ['USD', 2, '12.34'],
    ['HUF', 2, '12.34'],
    ['IDR', 2, '12.34'],
    ['COP', 2, '12.34'],
    ['PKR', 2, '12.34'],
    ['KWD', 3, '1.234'],
    ['IQD', 3, '1.234'],
    ['BHD', 3, '1.234'],
  ])('%s has %i digits', (currency, digits, decimal) => {
    expect(digitsOf(currency)).toBe(digits)
    expect(toDecimal({ amountMinor: 1234, currency })).toBe(decimal)
    expect(parseDecimal(decimal, currency)).toBe(1234)
  })

  test('none that ISO 4217 does not know', () => {
    expect(() => digitsOf('XYZ')).toThrow(RangeError)
  })

  test('people see all of it', () => {
    expect(formatMoney({ amountMinor: 123_450, currency: 'HUF' }, 'en')).toContain('1,234.50')
    expect(formatMoney({ amountMinor: 1_234, currency: 'JPY' }, 'en')).toBe('¥1,234')
  })
})
