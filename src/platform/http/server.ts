import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import { Ajv } from 'ajv'
import addFormatsModule from 'ajv-formats'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { actorIdOf } from '#platform/db/system.ts'
import type { Limits } from '#platform/limits/limits.ts'
import { refuse } from '#platform/problems.ts'
import type { Log } from '#platform/telemetry/log.ts'
import type { HttpMetrics } from '#platform/telemetry/metrics.ts'
import { refuseOpenSchemas } from './closed.ts'
import { ruleFields } from './fields.ts'
import { answerBelowRoutes, slownessOf } from './framing.ts'
import { limitRoutes } from './limits.ts'
import type { Origins } from './origins.ts'
import { shedLoad } from './overload.ts'
import { type Authenticate, guardRoutes } from './permissions.ts'
import { escapePointer, makeErrorHandler } from './problem.ts'
import { allowedMethods, watchRoutes } from './routes.ts'
import { drainOnClose } from './shutdown.ts'

const addFormats = addFormatsModule as unknown as (ajv: Ajv) => Ajv
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/

export type ServerOptions = {
  readonly production: boolean
  readonly log: Log
  readonly metrics: HttpMetrics
  /** How long the first of those who wait for a connection to the database has waited. */
  readonly waitedMs: () => number
  readonly authenticate: Authenticate
  readonly limits: Limits
  readonly origins: Origins
  readonly trustedProxies: readonly string[]
  readonly bodyLimitBytes: number
  readonly requestTimeoutMs: number
  readonly drainMs: number
}

/**
 * Makes the HTTP server that contexts add their routes to: request ids, problem documents, a permission and limits on
 * every route, closed schemas, no coercion of bodies, security headers, CORS, request log, metrics and a shutdown that drops nothing.
 */
export async function makeServer(options: ServerOptions): Promise<FastifyInstance> {
  const securityHeaders = securityHeadersOf(options.production)
  const handleError = makeErrorHandler(options.log, securityHeaders)
  const app = Fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: options.requestTimeoutMs,
    connectionTimeout: 0,
    keepAliveTimeout: 65_000,
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    genReqId: (request) => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    },
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
    http: slownessOf(options.requestTimeoutMs),
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
  })
  app.removeContentTypeParser('text/plain')
  parseJson(app)
  useStrictValidation(app)
  app.setErrorHandler(handleError)
  drainOnClose(app, options.drainMs, options.requestTimeoutMs)
  watchRoutes(app)
  refuseOpenSchemas(app)
  ruleFields(app)
  observe(app, options, securityHeaders)
  answerBelowRoutes(app, securityHeaders)
  await app.register(cors, corsOf(options))
  // Parsed by the few routes that take any.
  await app.register(cookie, { hook: false })
  shedLoad(app, options)
  guardRoutes(app, options.authenticate)
  limitRoutes(app, options)
  refuseUnreadBodies(app)
  refuseBrokenText(app)
  answerUnknownRoutes(app)
  return app
}

/** JSON is UTF-8: other bytes would be replaced in silence. Keys that poison a prototype are refused. */
function parseJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) =>
    isUtf8(body) ? parse(request, body.toString(), done) : done(refuse('platform.malformed', 'The body is not UTF-8.')),
  )
}

/** Bodies are taken as they are; query, path and headers are text and turned into numbers and booleans where asked. */
function useStrictValidation(app: FastifyInstance): void {
  const common = { removeAdditional: false, useDefaults: true, allErrors: false, strict: false } as const
  const strict = withFormats(new Ajv({ ...common, coerceTypes: false }))
  const coercing = withFormats(new Ajv({ ...common, coerceTypes: true }))
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema as object),
  )
}

/** The usual formats; a date-time is one that a Date can hold: no leap second, no offset without minutes. */
function withFormats(ajv: Ajv): Ajv {
  const { 'date-time': known } = addFormats(ajv).formats
  const { validate } = known as { validate: (text: string) => boolean }
  return ajv.addFormat('date-time', (text) => validate(text) && !Number.isNaN(Date.parse(text)))
}

/** A body where none is taken would be dropped in silence. Raw ones are a matter of their route. */
function refuseUnreadBodies(app: FastifyInstance): void {
  app.addHook('preValidation', async ({ body, routeOptions, is404 }) => {
    if (is404 || body === undefined || body === null || Buffer.isBuffer(body) || routeOptions.schema?.body) return
    throw refuse('platform.malformed', 'This operation takes no body.', {
      errors: [{ pointer: '', detail: 'is not taken here' }],
    })
  })
}

/** NUL, which PostgreSQL cannot store, and what is no text (lone surrogates, bytes that are no UTF-8) are refused wherever they stand. */
function refuseBrokenText(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    if (!isDecodable(request.url)) throw refuse('platform.malformed', 'The address is not percent-encoded UTF-8.')
    const { body, query, params } = request
    const pointer = brokenText(body) ?? within('/querystring', query) ?? within('/params', params)
    if (pointer !== undefined)
      throw refuse('platform.invalid', `${pointer} holds a NUL character or half of a surrogate pair.`, {
        errors: [{ pointer, detail: 'holds a NUL character or half of a surrogate pair' }],
      })
  })
}

function isDecodable(url: string): boolean {
  try {
    return !url.includes('%') || decodeURIComponent(url) !== undefined
  } catch {
    return false
  }
}

/** Deeper than any body of ours: what walks through one is not to run out of stack. */
const MAX_DEPTH = 20

/** Where the first such text stands in a value; undefined when there is none. */
function brokenText(value: unknown, depth = 0): string | undefined {
  if (depth > MAX_DEPTH) throw refuse('platform.malformed', `The body is nested deeper than ${MAX_DEPTH} levels.`)
  if (typeof value === 'string') return isBroken(value) ? '' : undefined
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return undefined
  for (const [key, inner] of Object.entries(value)) {
    if (isBroken(key)) return ''
    const found = brokenText(inner, depth + 1)
    if (found !== undefined) return `/${escapePointer(key)}${found}`
  }
  return undefined
}

const isBroken = (text: string): boolean => text.includes('\0') || !text.isWellFormed()

function within(place: string, value: unknown): string | undefined {
  const found = brokenText(value)
  return found === undefined ? undefined : place + found
}

/** Security headers and request ids, the request log and the latency histogram; the last two name the route's pattern, never the address with its ids. */
function observe(
  app: FastifyInstance,
  { log, metrics }: ServerOptions,
  securityHeaders: Readonly<Record<string, string>>,
): void {
  // These lines hold what is named here and no more: looking for secrets in them took a tenth of a cached page's time.
  const lines = log.child({}, { redact: [] })
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(securityHeaders).header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown'
    metrics.observe(request.method, route, reply.statusCode, reply.elapsedTime)
    lines.info(
      {
        requestId: request.id,
        method: request.method,
        route,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ...actorOf(request),
      },
      'request',
    )
    done()
  })
}

/** What browsers and caches are told to keep to; a page that people read, or that anybody may keep, says itself what else holds. */
const securityHeadersOf = (production: boolean): Readonly<Record<string, string>> => ({
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'cross-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  ...(production ? { 'strict-transport-security': 'max-age=31536000; includeSubDomains' } : {}),
})

const actorOf = ({ actor }: FastifyRequest) => (actor ? { actor: actor.kind, actorId: actorIdOf(actor) } : {})

function corsOf({ origins }: ServerOptions) {
  return {
    origin: (origin: string | undefined, decide: (error: null, allow: boolean) => void) =>
      decide(null, origins.mayCall(origin)),
    credentials: true,
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'X-Cart-Token', 'X-Order-Token'],
    exposedHeaders: [
      'ETag',
      'Location',
      'Retry-After',
      'Idempotent-Replayed',
      'X-Request-Id',
      'RateLimit',
      'RateLimit-Policy',
    ],
    maxAge: 600,
    hook: 'onRequest' as const,
  }
}

/** 405 with Allow where another method would do, 404 otherwise. */
function answerUnknownRoutes(app: FastifyInstance): void {
  app.setNotFoundHandler(async (request: FastifyRequest, reply: FastifyReply) => {
    const methods = allowedMethods(app, request.url)
    if (methods.length === 0) throw refuse('platform.not-found')
    reply.header('allow', methods.join(', '))
    throw refuse('platform.method-not-allowed')
  })
}
