import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PaymentId } from '#kernel/ids.ts'
import { idempotencyKeyOf, idempotencyScopeOf, sendKept } from '#platform/http/answer.ts'
import type { Platform } from '#platform/platform.ts'
import { refuse as refusePlatform } from '#platform/problems.ts'
import type { KeptBytes, Replay, RequestKey } from '../application/changes.ts'

/** Who asks, as `perform` wants to know. */
export const commandOf = ({ actor, id: requestId }: FastifyRequest) => ({ actor, requestId })

/** What the row that is this request's receipt is found by: hashes of its key with its scope, and of its body. */
export function keyOf(request: FastifyRequest): RequestKey {
  const key = idempotencyKeyOf(request) ?? ''
  const keyHash = createHash('sha256')
    .update(JSON.stringify([idempotencyScopeOf(request) ?? '', key]))
    .digest()
  return {
    keyHash,
    requestHash: createHash('sha256')
      .update(JSON.stringify([key, request.body]))
      .digest(),
  }
}

/** Serialises with the route's schema and seals with the caller's key, as the platform does for its receipts. */
export function receiptOf<Fact, View>(
  { encryption }: Platform,
  request: FastifyRequest,
  reply: FastifyReply,
  view: (fact: Fact) => View,
): { keep(fact: Fact): KeptBytes; open(sealed: Buffer): Buffer } {
  const key = idempotencyKeyOf(request) ?? ''
  const write = reply.getSerializationFunction('201') as (view: View) => string
  return {
    keep: (fact) => {
      const bytes = Buffer.from(write(view(fact)))
      return { bytes, sealed: encryption.sealBytes(bytes, key) }
    },
    open: (sealed) => encryption.openBytes(sealed, key),
  }
}

/** Sends the first answer to a key, or says why there is none. */
export function sendReplay(reply: FastifyReply, replay: Replay, paymentId: PaymentId): never {
  if (replay.kind === 'reused') throw refusePlatform('platform.idempotency-key-reused')
  if (replay.kind === 'in-flight') throw refusePlatform('platform.in-progress', undefined, { retryAfterSeconds: 1 })
  const { bytes: body, replayed } = replay
  return sendKept(reply, { status: 201, location: `/v1/payments/${paymentId}`, body, replayed }) as never
}
