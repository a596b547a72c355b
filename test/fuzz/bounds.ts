import { bodySchemaOf, type Operation, type Resolve, type Schema } from './document.ts'

/** Where an operation takes a text, number, list or object of any size: each place as a path into its input. */
export function boundsMissingIn(operation: Operation, resolve: Resolve): string[] {
  const unbounded = (given: Schema, at: string): string[] => {
    const schema = resolve(given)
    const { type, properties = {}, items, additionalProperties, propertyNames } = schema
    if (schema.anyOf) return schema.anyOf.flatMap((one) => unbounded(one, at))
    if (schema.enum || schema.const !== undefined || type === 'boolean' || type === 'null') return []
    if (type === 'string') return isBoundedText(schema) ? [] : [at]
    if (type === 'integer' || type === 'number')
      return schema.minimum === undefined || schema.maximum === undefined ? [at] : []
    if (type === 'array') return [...(schema.maxItems === undefined ? [at] : []), ...unbounded(items ?? {}, `${at}[]`)]
    if (type !== 'object') return [at]
    const inner = Object.entries(properties).flatMap(([name, one]) => unbounded(one, `${at}.${name}`))
    if (additionalProperties === false) return inner
    if (typeof additionalProperties !== 'object' || !propertyNames || schema.maxProperties === undefined) return [at]
    return [
      ...inner,
      ...unbounded(additionalProperties, `${at}{}`),
      ...unbounded({ type: 'string', ...propertyNames }, `${at}{name}`),
    ]
  }
  const body = bodySchemaOf(operation)
  return [
    ...operation.parameters.flatMap(({ name, schema }) => unbounded(schema, `${operation.operationId} ${name}`)),
    ...(body ? unbounded(body, `${operation.operationId} body`) : []),
  ]
}

/** A pattern bounds a text when it spans all of it and repeats nothing without end. */
const isBoundedText = ({ maxLength, format, pattern = '' }: Schema): boolean =>
  maxLength !== undefined ||
  format === 'date-time' ||
  (pattern.startsWith('^') && pattern.endsWith('$') && !/[^\\][*+]|,\}/.test(pattern))
