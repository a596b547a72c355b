import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import type { Problems } from '#kernel/refusal.ts'
import type { Idempotency } from './answer.ts'
import { statusOf } from './problem.ts'
import { ProblemSchema } from './schemas.ts'

type Schema = { [keyword: string]: unknown }
type Operation = {
  responses: Record<string, Schema>
  requestBody?: { required?: boolean; content?: Record<string, { schema: { anyOf?: Schema[] } }> }
  parameters?: Schema[]
  security?: Schema[]
}
type RouteConfig = {
  permission?: string
  idempotency?: Idempotency
  refuses?: readonly string[]
  limits?: readonly object[]
  neverShed?: boolean
}

/** Codes that any route can answer with, besides its own; those that only what takes a body or changes something can. */
const EVERYWHERE = [
  'platform.malformed',
  'platform.invalid',
  'platform.too-slow',
  'platform.head-too-large',
  'platform.unavailable',
  'platform.internal',
]
const OF_WRITES = [
  'platform.unsupported-media-type',
  'platform.too-large',
  'platform.busy',
  'platform.outcome-unknown',
] as const

const text = (description: string) => ({ schema: { type: 'string' }, description })
const OF_LIMITED = {
  'Retry-After': { schema: { type: 'integer' }, description: 'Seconds to wait.' },
  RateLimit: text('What is left of each limit (`r`), and the seconds until all of it is back (`t`).'),
  'RateLimit-Policy': text('The limits of this operation: how many requests (`q`) in how many seconds (`w`).'),
}

export type Api = {
  readonly problems: Problems
  readonly publicUrl: string
  /** What telling who asks can refuse, on any route. */
  readonly authenticationRefuses: readonly string[]
}

/**
 * Describes every route in one OpenAPI 3.1 document: bodies become named components, and each operation lists the
 * problem codes that it refuses with. A route that names an unknown code refuses to boot.
 */
export async function describeApi(app: FastifyInstance, api: Api): Promise<void> {
  const { problems, publicUrl } = api
  app.addHook('onRoute', ({ method, url, config }) => {
    const unknown = (config as RouteConfig | undefined)?.refuses?.find((code) => !problems[code])
    if (unknown) throw new Error(`${String(method)} ${url} refuses ${unknown}, which no context's problems.ts names.`)
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Stoa',
        version: '1',
        description: 'A headless commerce backend.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: publicUrl }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          cartToken: { type: 'apiKey', in: 'header', name: 'X-Cart-Token' },
          orderToken: { type: 'apiKey', in: 'header', name: 'X-Order-Token' },
        },
      },
    },
    hideUntagged: true,
    transform: ({ schema, url, route }) => ({
      url,
      schema: { ...schema, 'x-stoa': { method: route.method, ...(route.config as RouteConfig) } } as never,
    }),
    transformObject: (document) =>
      finishDocument(('openapiObject' in document ? document.openapiObject : {}) as Schema, api) as never,
  })
}

/** Adds problem answers, headers and security to every operation, then hoists named schemas into components. */
function finishDocument(document: Schema, { problems, authenticationRefuses }: Api): Schema {
  for (const path of Object.values(
    (document.paths ?? {}) as Record<string, Record<string, Operation & { 'x-stoa'?: RouteConfig }>>,
  )) {
    for (const [method, operation] of Object.entries(path)) {
      const config = operation['x-stoa'] ?? {}
      const { permission, idempotency = 'none', refuses = [] } = config
      delete operation['x-stoa']
      const codes = [...refuses, ...EVERYWHERE, ...authenticationRefuses, ...impliedBy(config)]
      describeProblems(operation, method === 'get' ? codes : [...codes, ...OF_WRITES], problems)
      if (idempotency !== 'none') addIdempotencyKey(operation, idempotency)
      if (refuses.includes('platform.precondition-required')) addIfMatch(operation)
      if (operation.requestBody && takesNull(operation.requestBody)) operation.requestBody.required = false
      operation.security = permission === 'public' ? [] : [{}, { bearer: [] }, { cartToken: [] }, { orderToken: [] }]
    }
  }
  const components = (document.components ?? {}) as { schemas?: Record<string, Schema> }
  const schemas: Record<string, Schema> = {}
  document.paths = hoist(document.paths, schemas)
  document.components = { ...components, schemas: { ...components.schemas, ...schemas } }
  return document
}

const impliedBy = ({ permission, idempotency = 'none', limits = [], neverShed }: RouteConfig): string[] => [
  ...(neverShed ? [] : ['platform.overloaded']),
  ...(limits.length === 0 ? [] : ['platform.rate-limited']),
  ...(permission === 'public'
    ? []
    : ['platform.unauthenticated', 'platform.forbidden', 'platform.second-factor-missing']),
  ...(idempotency === 'none' ? [] : ['platform.idempotency-key-reused', 'platform.in-progress']),
  ...(idempotency === 'required' || idempotency === 'natural' ? ['platform.idempotency-key-required'] : []),
]

function describeProblems(operation: Operation, codes: readonly string[], problems: Problems): void {
  const byStatus = Map.groupBy(
    [...new Set(codes)].filter((code) => problems[code]),
    (code) => statusOf(code, problems[code]!),
  )
  for (const [status, sameStatus] of byStatus) {
    operation.responses[status] = {
      description: sameStatus.map((code) => `\`${code}\`: ${problems[code]?.title}`).join('; '),
      content: {
        'application/problem+json': {
          schema: {
            allOf: [ProblemSchema, { type: 'object', properties: { code: { type: 'string', enum: sameStatus } } }],
          },
        },
      },
      ...(status === 429 ? { headers: OF_LIMITED } : {}),
    }
  }
}

/** A body that may be null may be left out. */
const takesNull = ({ content = {} }: NonNullable<Operation['requestBody']>): boolean =>
  Object.values(content).some(({ schema }) => schema.anyOf?.some(({ type }) => type === 'null'))

function addIdempotencyKey(operation: Operation, idempotency: Idempotency): void {
  operation.parameters = [
    ...(operation.parameters ?? []),
    {
      in: 'header',
      name: 'Idempotency-Key',
      required: idempotency !== 'optional',
      schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
      description: 'The same key and body give the same answer, without doing it again.',
    },
  ]
}

function addIfMatch(operation: Operation): void {
  operation.parameters = [
    ...(operation.parameters ?? []),
    {
      in: 'header',
      name: 'If-Match',
      required: true,
      schema: { type: 'string', maxLength: 1_000 },
      description: 'The ETag that was read.',
    },
  ]
}

/** Replaces every schema that has a title by a reference to a component of that name. */
function hoist(value: unknown, into: Record<string, Schema>): unknown {
  if (Array.isArray(value)) return value.map((item) => hoist(item, into))
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hoist(inner, into)])) as Schema
  const { title } = copy
  if (typeof title !== 'string' || !/^[A-Z][A-Za-z]+$/.test(title)) return copy
  into[title] ??= copy
  return { $ref: `#/components/schemas/${title}` }
}
