import fc from 'fast-check'

/** As much of JSON Schema as the OpenAPI document uses. */
export type Schema = {
  readonly $ref?: string
  readonly type?: string
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly { readonly required: readonly string[] }[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly multipleOf?: number
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
  readonly minProperties?: number
  readonly maxProperties?: number
}
/** A value with one fault in it, and the status that it is refused with. */
export type Fault = { readonly why: string; readonly value: unknown; readonly status: 400 | 422 }

const OTHER_TYPES: readonly unknown[] = [null, true, 7, 'text', [], {}]
const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'number' ? 'integer' : typeof value

/** Makes requests of schemas: `ids` are those that exist, by prefix; `known` are values worth trying, by property. */
export function makeRequests(
  components: Readonly<Record<string, Schema>>,
  ids: Readonly<Record<string, readonly string[]>>,
  known: Readonly<Record<string, readonly string[]>>,
  seed: number,
) {
  const resolve = (schema: Schema): Schema =>
    schema.$ref === undefined ? schema : resolve(components[schema.$ref.split('/').at(-1) ?? ''] ?? {})
  const sample = <Value>(values: fc.Arbitrary<Value>): Value => fc.sample(values, { numRuns: 1, seed })[0] as Value

  /** Values that fit the schema, those that exist more often than not. */
  const fitting = (given: Schema, name = ''): fc.Arbitrary<unknown> => {
    const schema = resolve(given)
    if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => fitting(one, name)))
    if (schema.enum) return fc.constantFrom(...schema.enum)
    if (schema.const !== undefined) return fc.constant(schema.const)
    if (schema.type === 'string') return texts(schema, name)
    if (schema.type === 'integer' || schema.type === 'number') return numbers(schema)
    if (schema.type === 'boolean') return fc.boolean()
    if (schema.type === 'null') return fc.constant(null)
    if (schema.type === 'array') return lists(schema)
    if (schema.type === 'object') return objects(schema)
    throw new Error(`No values for ${JSON.stringify(schema)}.`)
  }

  const texts = ({ pattern, format, minLength = 0, maxLength = 50 }: Schema, name: string): fc.Arbitrary<string> => {
    const [, prefix = ''] = /^\^([a-z]+)_\[/.exec(pattern ?? '') ?? []
    const any = pattern
      ? fc.stringMatching(new RegExp(pattern)).filter((text) => text.length <= maxLength)
      : format === 'email'
        ? fc.emailAddress()
        : format === 'date-time'
          ? fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString())
          : format === 'uri'
            ? fc.webUrl()
            : fc
                .string({ unit: 'binary', minLength, maxLength: Math.max(minLength, Math.min(maxLength, 50)) })
                .filter((text) => !text.includes('\0') && [...text].length >= minLength)
    const better = ids[prefix] ?? known[name]
    return better?.length ? fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...better) }, any) : any
  }

  const numbers = ({ minimum = -(2 ** 53) + 1, maximum = 2 ** 53 - 1 }: Schema): fc.Arbitrary<number> =>
    fc.oneof(
      fc.constantFrom(minimum, maximum),
      fc.integer({ min: Math.max(minimum, -5), max: Math.max(minimum, Math.min(maximum, 20)) }),
    )

  const lists = ({ items = {}, minItems = 0, maxItems = 3, uniqueItems }: Schema): fc.Arbitrary<unknown[]> => {
    const length = { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, 3)) }
    return uniqueItems ? fc.uniqueArray(fitting(items), length) : fc.array(fitting(items), length)
  }

  const objects = (schema: Schema): fc.Arbitrary<object> => {
    const { properties = {}, required = [], additionalProperties, propertyNames, oneOf } = schema
    if (typeof additionalProperties === 'object')
      return fc.dictionary(
        fitting({ type: 'string', ...propertyNames }) as fc.Arbitrary<string>,
        fitting(additionalProperties),
        {
          maxKeys: 2,
          noNullPrototype: true,
        },
      )
    const all = fc.record(
      Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, fitting(one, name)])),
      { requiredKeys: [...required], noNullPrototype: true },
    )
    const atLeast = ({ minProperties = 0 }: Schema) => all.filter((one) => Object.keys(one).length >= minProperties)
    if (!oneOf) return atLeast(schema)
    return fc.tuple(all, fc.constantFrom(...oneOf.flatMap((one) => one.required))).chain(([value, chosen]) => {
      const others = oneOf.flatMap((one) => one.required).filter((name) => name !== chosen)
      const rest = Object.fromEntries(Object.entries(value).filter(([name]) => !others.includes(name)))
      return fitting(properties[chosen] ?? {}, chosen).map((one) => ({ ...rest, [chosen]: one }))
    })
  }

  /** Every value that differs from a fitting one in exactly one respect. */
  const faults = (given: Schema): Fault[] => {
    const schema = resolve(given)
    const kinds = (schema.anyOf ?? [schema]).map(resolve)
    const types = kinds.map(({ type, const: only }) => (type === 'number' ? 'integer' : (type ?? typeOf(only))))
    const shape = OTHER_TYPES.filter((value) => !types.includes(typeOf(value))).map(
      (value): Fault => ({ why: `${JSON.stringify(value)} for ${types.join(' or ')}`, value, status: 400 }),
    )
    const main = kinds.find(({ type }) => type !== 'null') ?? schema
    return [...shape, ...within(main)]
  }

  const within = (schema: Schema): Fault[] => {
    if (schema.type === 'string') return textFaults(schema)
    if (schema.type === 'integer' || schema.type === 'number') return numberFaults(schema)
    if (schema.type === 'array') return listFaults(schema)
    if (schema.type === 'object') return objectFaults(schema)
    return []
  }

  const textFaults = ({ enum: only, pattern, format, minLength = 0, maxLength }: Schema): Fault[] => {
    const wrong: [string, string][] = [
      ['NUL', 'a\0b'],
      ['half a surrogate pair', '\ud800'],
      ...(maxLength === undefined ? [] : [['too long', 'x'.repeat(maxLength + 1)] as [string, string]]),
      ...(minLength > 0 ? [['too short', ''] as [string, string]] : []),
      ...(only ? [['no choice', 'no-such-choice'] as [string, string]] : []),
      ...(format ? [['no format', 'no such format'] as [string, string]] : []),
      ...(format === 'date-time' ? [['a leap second', '2016-12-31T23:59:60Z'] as [string, string]] : []),
      ...(pattern && !new RegExp(pattern).test('\n,é ') ? [['no match', '\n,é '] as [string, string]] : []),
    ]
    return wrong.map(([why, value]) => ({ why, value, status: 422 }))
  }

  const numberFaults = ({ type, minimum, maximum, multipleOf }: Schema): Fault[] => [
    ...(type === 'integer' ? [{ why: 'a fraction', value: 1.5, status: 400 as const }] : []),
    ...(multipleOf ? [{ why: 'a fraction', value: multipleOf * 1.5, status: 422 as const }] : []),
    ...(minimum === undefined ? [] : [{ why: 'too small', value: minimum - 1, status: 422 as const }]),
    ...(maximum === undefined ? [] : [{ why: 'too large', value: maximum + 1, status: 422 as const }]),
    ...(maximum === undefined ? [] : [{ why: '2^53', value: 2 ** 53, status: 422 as const }]),
  ]

  const listFaults = ({ items = {}, minItems = 0, maxItems, uniqueItems }: Schema): Fault[] => {
    const item = sample(fitting(items))
    const many = (count: number) => Array.from({ length: count }, () => item)
    return [
      ...(minItems > 0 ? [{ why: 'too few', value: [], status: 422 as const }] : []),
      ...(maxItems === undefined ? [] : [{ why: 'too many', value: many(maxItems + 1), status: 422 as const }]),
      ...(uniqueItems ? [{ why: 'one twice', value: many(2), status: 422 as const }] : []),
      ...faults(items).map(({ why, value, status }) => ({ why: `0: ${why}`, value: [value], status })),
    ]
  }

  const objectFaults = (schema: Schema): Fault[] => {
    const { properties = {}, required = [], additionalProperties, minProperties = 0, maxProperties, oneOf } = schema
    const sound = sample(objects(schema)) as Record<string, unknown>
    if (typeof additionalProperties === 'object') {
      const [[key = 'key'] = []] = [
        sample(fc.array(fitting({ type: 'string', ...schema.propertyNames }), { minLength: 1 })),
      ]
      const tooMany = Array.from({ length: (maxProperties ?? 0) + 1 }, (_, index) => [`k${index}`, 'v'])
      return [
        ...(maxProperties ? [{ why: 'too many', value: Object.fromEntries(tooMany), status: 422 as const }] : []),
        ...faults(additionalProperties).map((fault) => ({ ...fault, value: { [String(key)]: fault.value } })),
      ]
    }
    const without = (name: string) => Object.fromEntries(Object.entries(sound).filter(([key]) => key !== name))
    const chosen = oneOf?.flatMap((one) => one.required) ?? []
    const withoutChoice = Object.fromEntries(Object.entries(sound).filter(([name]) => !chosen.includes(name)))
    return [
      { why: 'an unknown property', value: { ...sound, isAdmin: true }, status: 400 },
      ...(minProperties > 0 ? [{ why: 'nothing', value: {}, status: 422 as const }] : []),
      ...required.map((name): Fault => ({ why: `no ${name}`, value: without(name), status: 400 })),
      ...(chosen.length > 0
        ? [
            {
              why: 'neither',
              value: withoutChoice,
              status: 400 as const,
            },
          ]
        : []),
      ...Object.entries(properties).flatMap(([name, one]) =>
        faults(one).map(({ why, value, status }): Fault => {
          const base = chosen.includes(name) ? withoutChoice : sound
          return { why: `${name}: ${why}`, value: { ...base, [name]: value }, status }
        }),
      ),
    ]
  }

  return {
    resolve,
    /** So many values that fit. */
    valid: (schema: Schema, count: number, name = ''): unknown[] =>
      fc.sample(fitting(schema, name), { numRuns: count, seed }),
    faults,
  }
}

export type Requests = ReturnType<typeof makeRequests>
