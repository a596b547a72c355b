import type { Resolve, Schema } from './document.ts'
import type { Fitting } from './fitting.ts'

/** A value with one fault in it, and the status that it is refused with. */
export type Fault = { readonly why: string; readonly value: unknown; readonly status: 400 | 422 }

const OTHER_TYPES: readonly unknown[] = [null, true, 7, 'text', [], {}]
const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'number' ? 'integer' : typeof value
const shape = (why: string, value: unknown): Fault => ({ why, value, status: 400 })
const wrong = (why: string, value: unknown): Fault => ({ why, value, status: 422 })

/** Makes every value that differs from a fitting one in exactly one respect. */
export function faultsBy(resolve: Resolve, fitting: Fitting, seed: number) {
  const faults = (given: Schema): Fault[] => {
    const schema = resolve(given)
    const kinds = (schema.anyOf ?? [schema]).map(resolve)
    const types = kinds.map(({ type, const: only }) => (type === 'number' ? 'integer' : (type ?? typeOf(only))))
    const main = kinds.find(({ type }) => type !== 'null') ?? schema
    return [
      ...OTHER_TYPES.filter((value) => !types.includes(typeOf(value))).map((value) =>
        shape(`${JSON.stringify(value)} for ${types.join(' or ')}`, value),
      ),
      ...within(main),
    ]
  }

  const within = (schema: Schema): Fault[] => {
    if (schema.type === 'string') return textFaults(schema)
    if (schema.type === 'integer' || schema.type === 'number') return numberFaults(schema)
    if (schema.type === 'array') return listFaults(schema)
    if (schema.type === 'object') return objectFaults(schema)
    return []
  }

  const textFaults = ({ enum: only, pattern, format, minLength = 0, maxLength }: Schema): Fault[] => [
    wrong('NUL', 'a\0b'),
    wrong('half a surrogate pair', '\ud800'),
    ...(maxLength === undefined ? [] : [wrong('too long', 'x'.repeat(maxLength + 1))]),
    ...(maxLength === undefined ? [] : [wrong('much too long', 'x'.repeat(maxLength + 100_000))]),
    ...(minLength > 0 ? [wrong('too short', '')] : []),
    ...(only ? [wrong('no choice', 'no-such-choice')] : []),
    ...(format ? [wrong('no format', 'no such format')] : []),
    ...(format === 'date-time' ? [wrong('a leap second', '2016-12-31T23:59:60Z')] : []),
    ...(pattern && !new RegExp(pattern).test('\n,é ') ? [wrong('no match', '\n,é ')] : []),
  ]

  const numberFaults = ({ type, minimum, maximum, multipleOf }: Schema): Fault[] => [
    ...(type === 'integer' ? [shape('a fraction', 1.5)] : []),
    ...(multipleOf ? [wrong('a fraction', multipleOf * 1.5)] : []),
    ...(minimum === undefined ? [] : [wrong('too small', minimum - 1), wrong('far too small', -1e300)]),
    ...(maximum === undefined ? [] : [wrong('too large', maximum + 1), wrong('2^53', 2 ** 53), wrong('1e300', 1e300)]),
  ]

  const listFaults = ({ items = {}, minItems = 0, maxItems, uniqueItems }: Schema): Fault[] => {
    const item = fitting(items, '', seed)
    const many = (count: number) => Array.from({ length: count }, () => item)
    return [
      ...(minItems > 0 ? [wrong('too few', [])] : []),
      ...(maxItems === undefined ? [] : [wrong('too many', many(maxItems + 1))]),
      ...(uniqueItems ? [wrong('one twice', many(2))] : []),
      ...faults(items).map(({ why, value, status }) => ({ why: `0: ${why}`, value: [value], status })),
    ]
  }

  const objectFaults = (schema: Schema): Fault[] => {
    const { properties = {}, required = [], additionalProperties, minProperties = 0, oneOf } = schema
    if (typeof additionalProperties === 'object') return dictionaryFaults(schema, additionalProperties)
    const sound = Object.entries(fitting(schema, '', seed) as object)
    const choices = oneOf?.flatMap((one) => one.required) ?? []
    const without = (...names: readonly string[]) => Object.fromEntries(sound.filter(([name]) => !names.includes(name)))
    return [
      shape('an unknown property', { ...without(), isAdmin: true }),
      ...(minProperties > 0 ? [wrong('nothing', {})] : []),
      ...required.map((name) => shape(`no ${name}`, without(name))),
      ...(choices.length > 0 ? [shape('no choice', without(...choices))] : []),
      ...Object.entries(properties).flatMap(([name, one]) =>
        faults(one).map(({ why, value, status }): Fault => {
          const base = choices.includes(name) ? without(...choices) : without()
          return { why: `${name}: ${why}`, value: { ...base, [name]: value }, status }
        }),
      ),
    ]
  }

  const dictionaryFaults = ({ maxProperties, propertyNames }: Schema, values: Schema): Fault[] => {
    const key = String(fitting({ type: 'string', ...propertyNames }, '', seed))
    const tooMany = Array.from({ length: (maxProperties ?? 0) + 1 }, (_, index) => [`k${index}`, 'v'])
    return [
      ...(maxProperties ? [wrong('too many', Object.fromEntries(tooMany))] : []),
      ...(propertyNames?.pattern ? [wrong('a strange name', { '\n,é ': 'v' })] : []),
      ...faults(values).map((fault) => ({ ...fault, value: { [key]: fault.value } })),
    ]
  }

  return faults
}
