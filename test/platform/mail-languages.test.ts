import { expect, test } from 'vitest'
import { formatMoney } from '#kernel/money.ts'
import { languageOf, localeOf } from '#platform/mail/languages.ts'

test.each([
  ['de', 'de'],
  ['de-AT,de;q=0.9,en;q=0.8', 'de-AT'],
  ['en;q=0.5, de;q=0.9', 'de'],
  ['fr-CH, fr;q=0.9, en-GB;q=0.8, de;q=0.7', 'en-GB'],
  ['DE-at', 'de-AT'],
  ['de-Latn-AT', 'de-AT'],
  ['en-001', 'en-001'],
  ['de;q=0, en', 'en'],
  ['de;q=0', undefined],
  ['fr, nl', undefined],
  ['*', undefined],
  ['', undefined],
  [undefined, undefined],
  ['de\r\nX: y', undefined],
  ['german', undefined],
  [`${'x'.repeat(300)},de`, undefined],
])('Accept-Language %j means %j', (header, locale) => {
  expect(localeOf(header)).toBe(locale)
})

test.each([
  ['de', 'de'],
  ['de-AT', 'de'],
  ['en-GB', 'en'],
  ['fr', 'en'],
  ['den', 'en'],
])('%s is written to in %s', (locale, language) => {
  expect(languageOf(locale)).toBe(language)
})

test.each([
  [123_456, 'USD', 'en', '$1,234.56'],
  [123_456, 'EUR', 'de', '1.234,56 €'],
  [123_456, 'EUR', 'de-AT', '€ 1.234,56'],
  [1200, 'JPY', 'en', '¥1,200'],
  [12_345, 'KWD', 'en', 'KWD 12.345'],
  [12_345, 'KWD', 'de', '12,345 KWD'],
  [-5, 'USD', 'en', '-$0.05'],
  [Number.MAX_SAFE_INTEGER, 'USD', 'en', '$90,071,992,547,409.91'],
])('%i of %s is written in %s as %s', (amountMinor, currency, locale, text) => {
  expect(formatMoney({ amountMinor, currency }, locale).replaceAll(/\s/g, ' ')).toBe(text)
})
