import { createHash } from 'node:crypto'
import { type Kysely, sql, type Transaction } from 'kysely'
import { refuse } from '#platform/problems.ts'
import type { Receipt } from './perform.ts'

/** Seals a receipt's body under the server's key mixed with the caller's Idempotency-Key: neither alone can read it. */
export type ReceiptSeal = {
  readonly sealBytes: (plain: Buffer, secret: string) => Buffer
  readonly openBytes: (sealed: Buffer, secret: string) => Buffer
}

/** An answer that was committed: replays send exactly these bytes. */
export type KeptAnswer = {
  readonly status: number
  readonly location: string | null
  readonly body: Buffer
  readonly replayed: boolean
}

/** What a key stands for: who asked, with which method and concrete path, under which Idempotency-Key, with which body. */
export type KeyedRequest = {
  readonly scope: string
  readonly idempotencyKey: string
  readonly body: unknown
  /** Whether a row already makes the command happen once (an open cart becomes ordered), so that no claim is needed. */
  readonly guardedByRow: boolean
}

type Row = {
  readonly claimed?: boolean
  readonly request_hash: Buffer | null
  readonly status: number
  readonly location: string | null
  readonly sealed_body: Buffer
}

const sha256 = (...parts: readonly string[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest()
}

/**
 * The receipt of one request with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). Refuses
 * platform.idempotency-key-reused for another body and platform.in-progress while a twin is being worked on.
 */
export function receiptOf(db: Kysely<{}>, seal: ReceiptSeal, request: KeyedRequest): Receipt<KeptAnswer> {
  const { idempotencyKey } = request
  const key = sha256(request.scope, idempotencyKey)
  // With the key, which is not stored: a body may hold a password, which its bare hash would let guess.
  const requestHash = sha256(idempotencyKey, JSON.stringify(request.body ?? null))

  const read = (row: Row | undefined): KeptAnswer | undefined => {
    if (!row?.request_hash) return undefined
    if (!row.request_hash.equals(requestHash)) throw refuse('platform.idempotency-key-reused')
    const body = seal.openBytes(row.sealed_body, idempotencyKey)
    return { status: row.status, location: row.location, body, replayed: true }
  }

  const claim = async (tx: Transaction<{}>) => {
    const { rows } = await sql<Row>`
      select pg_try_advisory_xact_lock(${key.readBigInt64BE(0).toString()}::bigint) as claimed,
        r.request_hash, r.status, r.location, r.sealed_body
      from (select 1) as one left join platform.receipts r on r.key = ${key}`.execute(tx)
    const row = rows[0]
    const kept = read(row)
    if (!kept && !row?.claimed) throw refuse('platform.in-progress', undefined, { retryAfterSeconds: 1 })
    return kept
  }

  return {
    ...(request.guardedByRow ? {} : { claim }),
    find: async () => {
      const { rows } = await sql<Row>`
        select request_hash, status, location, sealed_body from platform.receipts where key = ${key}`.execute(db)
      return read(rows[0])
    },
    row: (answer) => ({
      key,
      requestHash,
      status: answer.status,
      location: answer.location,
      sealedBody: seal.sealBytes(answer.body, idempotencyKey),
    }),
  }
}

/** Removes receipts older than 24 hours; returns how many. */
export async function forgetOldReceipts(db: Kysely<{}>, now: Date): Promise<number> {
  const before = new Date(now.getTime() - 24 * 60 * 60_000)
  const { rows } = await sql<{ removed: number }>`
    with removed as (delete from platform.receipts where created_at < ${before} returning 1)
    select count(*) as removed from removed`.execute(db)
  return rows[0]?.removed ?? 0
}
