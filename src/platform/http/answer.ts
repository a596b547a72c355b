import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Kysely } from 'kysely'
import type { Perform } from '#platform/db/perform.ts'
import { type KeptAnswer, type ReceiptSeal, receiptOf } from '#platform/db/receipts.ts'
import type { Single, Work } from '#platform/db/work.ts'
import { refuse } from '#platform/problems.ts'
import { shownTo } from './fields.ts'

/** What a route answers: a status, a body that its schema serialises, and where the new thing is. */
export type Answer<Body> = {
  readonly status: number
  readonly body: Body
  readonly location?: string
  readonly etag?: string
}

export const ok = <Body>(body: Body, etag?: string): Answer<Body> => ({ status: 200, body, ...(etag ? { etag } : {}) })
export const created = <Body>(body: Body, location: string): Answer<Body> => ({ status: 201, body, location })
export const accepted = <Body>(body: Body, location: string): Answer<Body> => ({ status: 202, body, location })
export const noContent = (): Answer<null> => ({ status: 204, body: null })

/** How a route uses the Idempotency-Key; `natural` means required, with a row that makes the command happen once. */
export type Idempotency = 'required' | 'optional' | 'natural' | 'none'

/** Both send the answer themselves: a route returns what they return, which is nothing that it could look at. */
export type AnswerRequest = {
  /** Runs a command in one transaction and answers; with an Idempotency-Key the same key gives the same bytes. */
  readonly answer: <Body>(
    request: FastifyRequest,
    reply: FastifyReply,
    run: (work: Work) => Promise<Answer<Body>>,
  ) => Promise<never>
  /** Runs a command that is one statement in autocommit and answers. */
  readonly answerOne: <Body>(
    request: FastifyRequest,
    reply: FastifyReply,
    run: (single: Single) => Promise<Answer<Body>>,
  ) => Promise<never>
}

const VISIBLE = /^[\x21-\x7e]{1,255}$/

/** The request's Idempotency-Key, checked; refuses platform.idempotency-key-required and platform.malformed. */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const rule = (request.routeOptions.config as { idempotency?: Idempotency }).idempotency ?? 'none'
  const key = request.headers['idempotency-key']
  if (key === undefined) {
    if (rule === 'required' || rule === 'natural') throw refuse('platform.idempotency-key-required')
    return undefined
  }
  if (typeof key !== 'string' || !VISIBLE.test(key))
    throw refuse('platform.malformed', 'Idempotency-Key takes 1 to 255 visible ASCII characters.', {
      errors: [{ pointer: '/headers/idempotency-key', detail: 'takes 1 to 255 visible ASCII characters' }],
    })
  return rule === 'none' ? undefined : key
}

/**
 * What an Idempotency-Key is scoped to: caller + method + concrete path. A guest's caller is the cart or order token;
 * a guest without one has no scope, and the key no effect. A server that asks for a guest asks for that one.
 */
export function idempotencyScopeOf(request: FastifyRequest): string | undefined {
  const { userId, apiKeyId, cartToken, orderToken } = request.actor
  const guest = cartToken ?? orderToken
  const caller = apiKeyId ? [apiKeyId, guest].join(' ') : (userId ?? guest)
  return caller && `${caller} ${request.method} ${request.url.split('?', 1)[0]}`
}

/** Serialises with the route's schema, before the commit, so that a failure to do so undoes the command. */
function serialise<Body>(reply: FastifyReply, answer: Answer<Body>): KeptAnswer & { etag?: string | undefined } {
  const write = reply.getSerializationFunction(String(answer.status))
  if (!write && answer.status !== 204) throw new Error(`The route has no schema for status ${answer.status}.`)
  const shown = shownTo(reply, answer.status, answer.body)
  checkAnswer?.(reply, { ...answer, body: shown })
  const body = write && answer.status !== 204 ? Buffer.from(write(shown as Record<string, unknown>)) : Buffer.alloc(0)
  return { status: answer.status, location: answer.location ?? null, body, replayed: false, etag: answer.etag }
}

/** In tests, every answer is validated against its schema before it is serialised (test/kit sets this). */
let checkAnswer: ((reply: FastifyReply, answer: Answer<unknown>) => void) | undefined
export const checkAnswersWith = (check: typeof checkAnswer): void => {
  checkAnswer = check
}

/** Sends an answer's bytes as they were committed. */
export function sendKept(reply: FastifyReply, answer: KeptAnswer & { etag?: string | undefined }): FastifyReply {
  reply.code(answer.status)
  if (answer.location) reply.header('location', answer.location)
  if (answer.etag) reply.header('etag', answer.etag)
  if (answer.replayed) reply.header('idempotent-replayed', 'true')
  if (answer.status === 204) return reply.send()
  return reply.header('content-type', 'application/json; charset=utf-8').send(answer.body)
}

/** Makes the two ways in which a route runs a command. */
export function makeAnswer(db: Kysely<{}>, perform: Perform, seal: ReceiptSeal): AnswerRequest {
  return {
    answer: async (request, reply, run) => {
      const idempotencyKey = idempotencyKeyOf(request)
      const scope = idempotencyKey && idempotencyScopeOf(request)
      const guardedByRow = (request.routeOptions.config as { idempotency?: Idempotency }).idempotency === 'natural'
      const receipt = scope
        ? receiptOf(db, seal, { scope, idempotencyKey, body: request.body, guardedByRow })
        : undefined
      const command = { actor: request.actor, requestId: request.id }
      const kept = await perform(command, async (work) => serialise(reply, await run(work)), receipt)
      return sendKept(reply, kept) as never
    },
    answerOne: async (request, reply, run) => {
      idempotencyKeyOf(request)
      const command = { actor: request.actor, requestId: request.id }
      return sendKept(reply, serialise(reply, await perform.one(command, run))) as never
    },
  }
}
