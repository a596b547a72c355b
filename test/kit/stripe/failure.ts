import { group, type Params, text } from './form.ts'

/** What Stripe answers when it does not do what was asked. */
export type ErrorBody = { type: string; message: string; code?: string; param?: string; [more: string]: unknown }

/** Stripe's refusal. `began`: its operation had begun, so that the answer stays with the idempotency key. */
export class StripeFailure extends Error {
  readonly status: number
  readonly body: ErrorBody
  readonly began: boolean
  constructor(status: number, body: ErrorBody, began: boolean) {
    super(body.message)
    this.status = status
    this.body = body
    this.began = began
  }
}

/** Parameters that do not pass: nothing began, and the key is free for another try. */
export const invalid = (message: string, param: string, code = 'parameter_invalid_empty'): StripeFailure =>
  new StripeFailure(400, { type: 'invalid_request_error', message, param, code }, false)

/** What the state of things does not allow; the same answer comes again for the same key. */
export const refused = (code: string, message: string, more: object = {}): StripeFailure =>
  new StripeFailure(400, { type: 'invalid_request_error', code, message, ...more }, true)

/** An id that Stripe does not know: 404 in the path, 400 in a parameter. */
export const missing = (kind: string, id: string, param: string, status: 400 | 404 = 404): StripeFailure =>
  new StripeFailure(
    status,
    { type: 'invalid_request_error', code: 'resource_missing', message: `No such ${kind}: '${id}'`, param },
    true,
  )

/** Refuses what the operation does not know, as Stripe does. */
export function known(params: Params, ...names: string[]): void {
  const stranger = Object.keys(params).find((name) => name !== 'expand' && !names.includes(name))
  if (stranger !== undefined) throw invalid(`Received unknown parameter: ${stranger}`, stranger, 'parameter_unknown')
}

/** A whole number of Stripe's minor units; undefined when it was left out. */
export function amountOf(params: Params, name: string): number | undefined {
  const said = text(params, name)
  if (said === undefined) return undefined
  if (!/^-?\d+$/.test(said)) throw invalid(`Invalid integer: ${said}`, name, 'parameter_invalid_integer')
  if (Number(said) < 1)
    throw invalid('This value must be greater than or equal to 1.', name, 'parameter_invalid_integer')
  return Number(said)
}

/** `true` or `false`; false when it was left out. */
export function flagOf(params: Params, name: string): boolean {
  const said = text(params, name) ?? 'false'
  if (said !== 'true' && said !== 'false') throw invalid(`Invalid boolean: ${said}`, name)
  return said === 'true'
}

/** One of the values allowed; undefined when it was left out. */
export function oneOf<T extends string>(params: Params, name: string, ...allowed: readonly T[]): T | undefined {
  const said = text(params, name)
  if (said === undefined) return undefined
  if (!allowed.includes(said as T)) throw invalid(`Invalid ${name}: must be one of ${allowed.join(', ')}`, name)
  return said as T
}

/** Metadata with what was asked put over it: an empty value takes its name away, an empty group everything. */
export function metadataOf(before: object, params: Params): Record<string, string> {
  if (params.metadata === '') return {}
  const asked = Object.entries({ ...before, ...group(params, 'metadata') })
  const metadata = asked.filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '')
  const long = metadata.find(([name, value]) => name.length > 40 || value.length > 500)
  if (long) throw invalid('Metadata names can have up to 40 characters, and values up to 500.', `metadata[${long[0]}]`)
  if (metadata.length > 50) throw invalid('Metadata can only have 50 keys.', 'metadata')
  return Object.fromEntries(metadata)
}
