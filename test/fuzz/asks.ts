import { randomUUID } from 'node:crypto'
import { bodySchemaOf, type Operation, type Parameter, parametersIn, takes } from './document.ts'
import type { Fitting } from './fitting.ts'
import type { Learned } from './learned.ts'

/** A request as it is sent. */
export type Ask = {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload?: string | Buffer
}
export type Headers = Readonly<Record<string, string>>

/** Makes requests that fit the document, another one for each seed. */
export function asksBy(fitting: Fitting, learned: Learned) {
  return (operation: Operation, seed: number, as: Headers): Ask => {
    const { method, path } = operation
    const value = ({ schema, name }: Parameter) => encodeURIComponent(String(fitting(schema, name, seed)))
    const place = parametersIn(operation, 'path').reduce((url, one) => url.replace(`{${one.name}}`, value(one)), path)
    const query = parametersIn(operation, 'query')
      .filter(({ name, required }) => required || (name !== 'cursor' && (seed + name.length * 7) % 4 === 0))
      .map((one) => `${encodeURIComponent(one.name)}=${value(one)}`)
      .join('&')
    const schema = bodySchemaOf(operation)
    const payload = schema ? JSON.stringify(fitting(schema, 'body', seed)) : takesText(operation)
    return {
      method,
      url: query ? `${place}?${query}` : place,
      headers: {
        ...learned.tokensFor(place, payload ?? ''),
        ...as,
        ...(takes(operation, 'Idempotency-Key') ? { 'idempotency-key': randomUUID() } : {}),
        ...(takes(operation, 'If-Match') ? { 'if-match': learned.etagFor(place) ?? `"${(seed % 3) + 1}"` } : {}),
        ...(payload === undefined ? {} : { 'content-type': schema ? 'application/json' : 'text/csv' }),
      },
      ...(payload === undefined ? {} : { payload }),
    }
  }
}
export type MakeAsk = ReturnType<typeof asksBy>

/** The same once more, not its answer of before: with another Idempotency-Key, if it has one that is sound. */
export function withFreshKey(ask: Ask): Ask {
  const { 'idempotency-key': key = '' } = ask.headers
  return UUID.test(key) ? { ...ask, headers: { ...ask.headers, 'idempotency-key': randomUUID() } } : ask
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const takesText = ({ requestBody }: Operation): string | undefined =>
  requestBody?.content['text/csv'] ? 'Handle,Title,Variant Price\nfuzzed,Fuzzed,1.00\n' : undefined

const SHOWN = 1_500

/** The request as a command that sends it again. */
export function curlOf({ method, url, headers, payload }: Ask): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const short = (text: string) => (text.length > SHOWN ? `${text.slice(0, 200)}… (${text.length} in all)` : text)
  const lines = Object.entries(headers).map(([name, value]) => `-H ${quoted(short(`${name}: ${value}`))}`)
  const data = payload === undefined ? [] : [`--data-binary ${quoted(short(payload.toString()))}`]
  return ['curl', '--globoff', '-X', method, ...lines, ...data, quoted(`http://localhost:3000${short(url)}`)].join(' ')
}
