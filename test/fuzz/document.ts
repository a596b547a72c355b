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
type Content = Readonly<Record<string, { readonly schema: Schema }>>
export type Parameter = {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly schema: Schema
}
export type Operation = {
  readonly operationId: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}
export type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Partial<Operation>>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** Every operation of the API, in the document's order. */
export const operationsOf = ({ paths }: Document): readonly Operation[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) =>
        ({ parameters: [], ...operation, path, method: method.toUpperCase() }) as unknown as Operation,
    ),
  )

/** The schema that a name stands for, if it is one. */
export const resolverOf =
  ({ components }: Document) =>
  (schema: Schema): Schema => {
    const name = schema.$ref?.split('/').at(-1)
    return name === undefined ? schema : resolverOf({ components, paths: {} })(components.schemas[name] ?? {})
  }
export type Resolve = ReturnType<typeof resolverOf>

/** The schema of what an operation takes as JSON; undefined when it takes none. */
export const bodySchemaOf = ({ requestBody }: Operation): Schema | undefined =>
  requestBody?.content['application/json']?.schema

export const parametersIn = ({ parameters }: Operation, place: Parameter['in']): readonly Parameter[] =>
  parameters.filter((one) => one.in === place)

export const takes = ({ parameters }: Operation, name: string): boolean => parameters.some((one) => one.name === name)
