import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type Problem, Refusal, type RefusalKind } from '#kernel/refusal.ts'
import { isLockTimeout, isRerunnable, isUnavailable } from '#platform/db/errors.ts'
import { refuse } from '#platform/problems.ts'
import type { Log } from '#platform/telemetry/log.ts'

/** The status of each kind of refusal; the few codes that have their own stand below. */
const STATUS_BY_KIND: Record<RefusalKind, number> = {
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  stale: 412,
  limited: 429,
  unavailable: 503,
}

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  'platform.malformed': 400,
  'platform.idempotency-key-required': 400,
  'platform.method-not-allowed': 405,
  'platform.too-slow': 408,
  'platform.too-large': 413,
  'platform.unsupported-media-type': 415,
  'platform.precondition-required': 428,
  'platform.head-too-large': 431,
  'platform.internal': 500,
  'payments.invalid-signature': 400,
  'users.invalid-link': 400,
}

/** The HTTP status that a problem code answers with. */
export const statusOf = (code: string, problem: Pick<Problem, 'kind'>): number =>
  STATUS_BY_CODE[code] ?? STATUS_BY_KIND[problem.kind]

/** Ajv keywords that mean "another shape"; every other one means "right shape, wrong value". */
const SHAPE = new Set(['type', 'required', 'additionalProperties', 'unevaluatedProperties', 'anyOf', 'oneOf'])

const LONGEST_NAME = 100
const LONGEST_POINTER = 500

type ValidationItem = { keyword: string; instancePath: string; params: Record<string, unknown>; message?: string }

/** Turns a schema violation into a refusal: a wrong shape, and anything wrong outside the body, is 400; a wrong value 422. */
function fromValidation(error: FastifyError & { validation: ValidationItem[]; validationContext?: string }): Refusal {
  const inBody = error.validationContext === 'body'
  const items = withoutNull(error.validation)
  const errors = items.slice(0, 20).map((item) => {
    const property = item.params.missingProperty ?? item.params.additionalProperty
    const path = pointerTo(item.instancePath, property)
    const detail =
      item.keyword === 'additionalProperties' ? 'is not a known property' : (item.message ?? 'is not valid')
    return { pointer: inBody ? path : `/${error.validationContext}${path}`, detail }
  })
  const misshapen = !inBody || items.some((item) => SHAPE.has(item.keyword))
  const first = errors[0] ? `${errors[0].pointer || 'The body'} ${errors[0].detail}.` : undefined
  return refuse(misshapen ? 'platform.malformed' : 'platform.invalid', first, { errors })
}

/** Where it is; a name longer than any of ours is not said again, the place that it stands in is. */
const pointerTo = (place: string, property: unknown): string =>
  property === undefined || String(property).length > LONGEST_NAME
    ? place.slice(0, LONGEST_POINTER)
    : `${place}/${escapePointer(String(property))}`

/** Of a value that may also be null, only what its own schema says: that it is not null either tells nobody anything. */
function withoutNull(items: readonly ValidationItem[]): readonly ValidationItem[] {
  const isNull = ({ keyword, params }: ValidationItem) => keyword === 'type' && params.type === 'null'
  const told = items.filter((item) => !isNull(item) && item.keyword !== 'anyOf')
  return items.some(isNull) && told.length > 0 ? told : items
}

export const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1')

/** What went wrong, as a refusal that may be told; undefined when it is our own fault. */
export function asRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (isLockTimeout(error) || isRerunnable(error)) return refuse('platform.busy', undefined, { retryAfterSeconds: 1 })
  if (isUnavailable(error)) return refuse('platform.unavailable', undefined, { retryAfterSeconds: 1 })
  const { statusCode, validation, code } = error as FastifyError
  if (validation) return fromValidation(error as never)
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return refuse('platform.unsupported-media-type')
  if (statusCode === 413) return refuse('platform.too-large')
  if (statusCode && statusCode >= 400 && statusCode < 500)
    return refuse(
      'platform.malformed',
      'The request could not be read: its body, address or headers are not well formed.',
    )
  return undefined
}

/** Sends a refusal as an RFC 9457 problem document. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const { retryAfterSeconds } = refusal.facts
  const problem = problemOf(refusal, request.id)
  const { status } = problem
  // Fastify closes after a body that it did not take: who still sends it would be cut off before they read why. Node drops the rest.
  reply.removeHeader('connection')
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  if (status === 401)
    reply.header(
      'www-authenticate',
      request.headers.authorization !== undefined ? 'Bearer error="invalid_token"' : 'Bearer',
    )
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .header('content-type', PROBLEM_TYPE)
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problem)
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** The problem document (RFC 9457) of a refusal. */
export function problemOf(refusal: Refusal, requestId: string) {
  const { retryAfterSeconds: _, ...facts } = refusal.facts
  return {
    ...facts,
    type: `/problems/${refusal.code}`,
    title: refusal.title,
    status: statusOf(refusal.code, refusal),
    detail: refusal.message,
    code: refusal.code,
    instance: requestId,
  }
}

/**
 * The one error handler: refusals are told, bugs and outages are logged and answered without detail. What is refused
 * before any hook has run gets these headers here.
 */
export const makeErrorHandler =
  (log: Log, headers: Readonly<Record<string, string>>) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    if (!reply.hasHeader('x-request-id')) reply.headers(headers).header('x-request-id', request.id)
    const refusal = asRefusal(error)
    if (refusal) {
      if (refusal.kind === 'unavailable') log.warn({ err: error, requestId: request.id }, 'unavailable')
      return sendProblem(request, reply, refusal)
    }
    log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'request failed')
    return sendProblem(request, reply, refuse('platform.internal'))
  }
