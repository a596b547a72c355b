import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox'
import { idPattern } from '#kernel/ids.ts'

/** An object that takes these properties and no others: the only kind of object that a route accepts. */
export const closed = <Properties extends TProperties>(properties: Properties, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

/** Names a schema: it becomes a component of that name in the OpenAPI document. */
export const named = <Schema extends TSchema>(title: string, schema: Schema): Schema =>
  Object.assign(Object.create(Object.getPrototypeOf(schema)), schema, { title })

/** The TypeID of this prefix. */
export const idSchema = <Prefix extends string>(prefix: Prefix) =>
  Type.Unsafe<`${Prefix}_${string}`>({
    type: 'string',
    pattern: idPattern(prefix),
    examples: [`${prefix}_01jd2zq8k5e6v9w3x7y2m4n6p8`],
  })

export const CurrencySchema = Type.Unsafe<string>({
  type: 'string',
  pattern: '^[A-Z]{3}$',
  description: 'ISO 4217 code',
})

export const MoneySchema = named(
  'Money',
  closed(
    {
      amountMinor: Type.Integer({ minimum: -9_007_199_254_740_991, maximum: 9_007_199_254_740_991 }),
      currency: CurrencySchema,
    },
    { description: 'Integer minor units of an ISO 4217 currency: 1999 USD is 19.99, 500 JPY is 500.' },
  ),
)

/** A moment, RFC 3339 in UTC. */
export const TimeSchema = Type.Unsafe<string>({ type: 'string', format: 'date-time' })

/** A text of people's: 1 to `maxLength` characters. */
export const textSchema = (maxLength: number) => Type.String({ minLength: 1, maxLength })

/** One of these texts: another text is a wrong value (422), not a wrong shape. */
export const oneOf = <const Value extends string>(...values: readonly Value[]) =>
  Type.Unsafe<Value>({ type: 'string', enum: values })

export const EmailSchema = Type.String({ format: 'email', maxLength: 254 })

/** A shop's own data: at most 20 text keys. */
export const MetadataSchema = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: 20,
  propertyNames: { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,40}$' },
  additionalProperties: { type: 'string', maxLength: 500 },
})

/** A postal address, property by property. */
export const addressProperties = {
  name: textSchema(200),
  company: Type.Optional(textSchema(200)),
  line1: textSchema(200),
  line2: Type.Optional(textSchema(200)),
  city: textSchema(100),
  region: Type.Optional(textSchema(100)),
  postalCode: textSchema(20),
  countryCode: Type.String({ pattern: '^[A-Z]{2}$', description: 'ISO 3166-1 alpha-2' }),
  phone: Type.Optional(textSchema(40)),
}
export const AddressSchema = named('Address', closed(addressProperties))

/** The query parameters of every list. */
export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 1000 })),
}

/** A page of these. */
export const pageSchema = <Item extends TSchema>(item: Item) =>
  closed({ data: Type.Array(item), nextCursor: Type.Union([Type.String(), Type.Null()]) })

export const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

export const ProblemSchema = named(
  'Problem',
  Type.Object(
    {
      type: Type.String(),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.Optional(Type.String()),
      code: Type.String(),
      instance: Type.String({ description: 'The request id.' }),
      errors: Type.Optional(
        Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }, { additionalProperties: true })),
      ),
    },
    { additionalProperties: true, description: 'RFC 9457 problem document; `code` is stable.' },
  ),
)

export type { Static, TObject, TSchema }
