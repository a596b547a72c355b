/** What stands in a cell, null where nothing does; or why it cannot be read. */
export type Cell<T> = { readonly value: T | null } | { readonly reason: string }

const NAME_MAX_LENGTH = 100

/** A line of text without control characters. */
export function readName(text: string): Cell<string> {
  if (text === '') return { value: null }
  if ([...text].length > NAME_MAX_LENGTH) return { reason: `has more than ${NAME_MAX_LENGTH} characters` }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return { reason: 'has a line end or another control character' }
  return text.isWellFormed() ? { value: text } : { reason: 'has half of a character' }
}

const YES = /^(?:true|t|yes|y|1)$/i
const NO = /^(?:false|f|no|n|0)?$/i

/** When an address was verified: a time, or yes (which is now) or no. */
export function readVerified(text: string, now: Date): Cell<Date> {
  if (NO.test(text)) return { value: null }
  if (YES.test(text)) return { value: now }
  const time = readTime(text, now)
  return 'reason' in time ? { reason: `${time.reason}, nor yes or no` } : time
}

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?$/i

/** ISO 8601, UTC where it names no zone, or seconds or milliseconds since 1970; not in the future. */
export function readTime(text: string, now: Date): Cell<Date> {
  if (/^(?:null|\\N)?$/i.test(text)) return { value: null }
  const time = /^\d{10}$/.test(text) ? Number(text) * 1000 : /^\d{13}$/.test(text) ? Number(text) : isoOf(text)
  if (time === undefined) return { reason: 'is not a time (such as 2024-01-31T12:00:00Z)' }
  if (time > now.getTime()) return { reason: 'is in the future' }
  return { value: new Date(time) }
}

function isoOf(text: string): number | undefined {
  const [, year, month, day, clock = '00:00', zone = 'Z'] = ISO.exec(text) ?? []
  const isDay = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
  const offset = zone
    .replace(/utc/i, 'Z')
    .replace(/^([+-]\d\d):?(\d\d)?$/, (_, hours, minutes = '00') => `${hours}:${minutes}`)
  const time = Date.parse(`${year}-${month}-${day}T${clock}${offset.toUpperCase()}`)
  return isDay && !Number.isNaN(time) ? time : undefined
}
