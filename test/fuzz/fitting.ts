import fc from 'fast-check'
import type { Resolve, Schema } from './document.ts'
import { INJECTIONS } from './hostile.ts'
import type { Learned } from './learned.ts'

const MOST_ITEMS = 3
const MOST_CHARACTERS = 60

/** Makes values that fit schemas: those that exist more often than not, their bounds, and every injection that fits. */
export function fittingBy(resolve: Resolve, learned: Learned) {
  const made = new Map<string, fc.Arbitrary<unknown>>()

  const fitting = (given: Schema, name = ''): fc.Arbitrary<unknown> => {
    const schema = resolve(given)
    if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => fitting(one, name)))
    if (schema.enum) return fc.constantFrom(...schema.enum)
    if (schema.const !== undefined) return fc.constant(schema.const)
    if (schema.type === 'string') return texts(schema, name)
    if (schema.type === 'integer' || schema.type === 'number') return numbers(schema)
    if (schema.type === 'boolean') return fc.boolean()
    if (schema.type === 'null') return fc.constant(null)
    if (schema.type === 'array') return lists(schema, name)
    if (schema.type === 'object') return objects(schema)
    throw new Error(`No values for ${JSON.stringify(schema)}.`)
  }

  const texts = (schema: Schema, name: string): fc.Arbitrary<string> => {
    const [, prefix = ''] = /^\^([a-z]+)_\[/.exec(schema.pattern ?? '') ?? []
    const any = anyText(schema)
    const { minLength = 0, maxLength = Number.MAX_SAFE_INTEGER, pattern = '' } = schema
    const fits = (text: string) =>
      length(text) >= minLength && length(text) <= maxLength && new RegExp(pattern).test(text)
    return fc.tuple(any, fc.nat(), fc.nat({ max: 3 })).map(([text, pick, often]) => {
      const exist = (prefix ? learned.ids(prefix) : learned.values(name)).filter(fits)
      return often > 0 && exist.length > 0 ? (exist[pick % exist.length] as string) : text
    })
  }

  const anyText = ({ pattern, format, minLength = 0, maxLength = MOST_CHARACTERS }: Schema): fc.Arbitrary<string> => {
    if (pattern)
      return fc
        .stringMatching(new RegExp(pattern))
        .filter((text) => text.length <= maxLength && length(text) >= minLength)
    if (format === 'email') return fc.emailAddress()
    if (format === 'uri') return fc.webUrl()
    if (format === 'date-time')
      return fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString())
    const hostile = INJECTIONS.filter((text) => length(text) >= minLength && length(text) <= maxLength)
    const most = Math.max(minLength, Math.min(maxLength, MOST_CHARACTERS))
    return fc.oneof(
      fc.constantFrom('x'.repeat(Math.max(minLength, 1)), 'é'.repeat(maxLength), ...hostile),
      fc
        .string({ unit: 'binary', minLength, maxLength: most })
        .filter((text) => !text.includes('\0') && length(text) >= minLength),
    )
  }

  const numbers = ({ minimum = -(2 ** 53) + 1, maximum = 2 ** 53 - 1 }: Schema): fc.Arbitrary<number> =>
    fc.oneof(
      fc.constantFrom(minimum, maximum),
      fc.integer({ min: Math.max(minimum, -5), max: Math.max(minimum, Math.min(maximum, 20)) }),
    )

  const lists = ({ items = {}, minItems = 0, maxItems = MOST_ITEMS, uniqueItems }: Schema, name: string) => {
    const bounds = { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, MOST_ITEMS)) }
    return uniqueItems ? fc.uniqueArray(fitting(items, name), bounds) : fc.array(fitting(items, name), bounds)
  }

  const objects = (schema: Schema): fc.Arbitrary<object> => {
    const { properties = {}, required = [], additionalProperties, propertyNames, minProperties = 0, oneOf } = schema
    if (typeof additionalProperties === 'object')
      return fc.dictionary(
        // The parser of bodies refuses what poisons a prototype, wherever it stands.
        (fitting({ type: 'string', ...propertyNames }) as fc.Arbitrary<string>).filter((name) => name !== '__proto__'),
        fitting(additionalProperties),
        { maxKeys: 2, noNullPrototype: true },
      )
    const all = fc
      .record(Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, fitting(one, name)])), {
        requiredKeys: [...required],
        noNullPrototype: true,
      })
      .filter((one) => Object.keys(one).length >= minProperties)
    if (!oneOf) return all
    const choices = oneOf.flatMap((one) => one.required)
    return fc.tuple(all, fc.constantFrom(...choices)).chain(([value, chosen]) => {
      const rest = Object.entries(value).filter(([name]) => !choices.includes(name))
      return fitting(properties[chosen] ?? {}, chosen).map((one) => ({ ...Object.fromEntries(rest), [chosen]: one }))
    })
  }

  /** One value that fits, the same one for the same seed as long as the same things exist. */
  return (schema: Schema, name: string, seed: number): unknown => {
    const key = `${name} ${JSON.stringify(schema)}`
    const values = made.get(key) ?? fitting(schema, name)
    made.set(key, values)
    return fc.sample(values, { numRuns: 1, seed })[0]
  }
}
export type Fitting = ReturnType<typeof fittingBy>

const length = (text: string): number => [...text].length
