import { type Currency, parseDecimal } from '#kernel/money.ts'

/** A cell that cannot be read: what is wrong with it, for people. */
export class BadCell extends Error {}

// A spreadsheet would calculate text that begins so; it would also drop the zeros in front of a barcode.
const QUOTED = /^'+[0-9=+\-@\t\r]/
const NEEDS_QUOTE = /^(?:[=+\-@\t\r]|\d+$|'+[0-9=+\-@\t\r])/

/** A text cell as the shop meant it, without the `'` that protects it from spreadsheets; empty when blank. */
export const readText = (cell: string): string => (QUOTED.test(cell) ? cell.slice(1) : cell.trim() === '' ? '' : cell)

/** A text for a cell: with a `'` in front where a spreadsheet would take it for a formula or a number. */
export const writeText = (text: string): string => (NEEDS_QUOTE.test(text) ? `'${text}` : text)

/** An amount such as `19.99` in minor units; undefined when blank. */
export function readAmount(cell: string, currency: Currency): number | undefined {
  if (cell.trim() === '') return undefined
  const amountMinor = parseDecimal(cell, currency)
  if (amountMinor === undefined || amountMinor < 0) throw new BadCell(`“${cell}” is not an amount of ${currency}`)
  return amountMinor
}

/** A whole number within `from` and `to`; undefined when blank. */
export function readWhole(cell: string, from: number, to: number): number | undefined {
  const text = cell.trim()
  if (text === '') return undefined
  const number = /^[+-]?\d{1,15}(?:\.0+)?$/.test(text) ? Number(text) + 0 : Number.NaN
  if (!(number >= from && number <= to)) throw new BadCell(`“${cell}” is not a whole number from ${from} to ${to}`)
  return number
}

/** A weight in grams, maybe with a fraction; undefined when blank. */
export function readGrams(cell: string): number | undefined {
  const text = cell.trim()
  if (text === '') return undefined
  const grams = /^\d{1,9}(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(grams <= 1_000_000_000)) throw new BadCell(`“${cell}” is not a weight in grams`)
  return grams
}

/** One of a few words, whatever the case: what it stands for; undefined when blank. */
export function readWord<Meaning>(cell: string, meanings: Readonly<Record<string, Meaning>>): Meaning | undefined {
  const word = cell.trim().toLowerCase()
  if (word === '') return undefined
  if (!Object.hasOwn(meanings, word)) throw new BadCell(`“${cell}” is none of ${Object.keys(meanings).join(', ')}`)
  return meanings[word]
}

/** `true` and `false` as Shopify writes them; undefined when blank. */
export const readFlag = (cell: string): boolean | undefined =>
  readWord(cell, { true: true, false: false, yes: true, no: false, '1': true, '0': false })

/** Tags from one cell, in order, each once. */
export const readTags = (cell: string): string[] => [
  ...new Set(
    readText(cell)
      .split(',')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ''),
  ),
]
