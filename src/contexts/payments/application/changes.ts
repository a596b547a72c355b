import type { Work } from '#platform/db/work.ts'
import type { Attempt } from '../domain/attempt.ts'
import type { CaptureRequest } from '../domain/capture-request.ts'
import type { Dispute } from '../domain/dispute.ts'
import type { LedgerEntry } from '../domain/ledger.ts'
import type { Payment } from '../domain/payment.ts'
import type { Refund } from '../domain/refund.ts'
import type { Capture, Held } from '../domain/settle.ts'

/** A refund that carries its caller's Idempotency-Key, hashed with its scope, and the hash of what was asked. */
export type RequestKey = { readonly keyHash: Buffer; readonly requestHash: Buffer }

/** Everything that one command changes of locked payments. A refund without a lease has ended. */
export type Changes = {
  readonly payments: readonly Payment[]
  readonly attempts?: readonly (Attempt & { readonly sealedAnswer?: Buffer })[]
  readonly captures?: readonly Capture[]
  readonly newRefunds?: readonly (Refund & { readonly leaseUntil: Date | null; readonly key?: RequestKey })[]
  readonly refunds?: readonly (Refund & { readonly sealedAnswer?: Buffer; readonly lastError?: string })[]
  readonly newCaptureRequests?: readonly (CaptureRequest & RequestKey & { readonly leaseUntil: Date })[]
  readonly captureRequests?: readonly (CaptureRequest & {
    readonly sealedAnswer?: Buffer
    readonly lastError?: string
  })[]
  /** New ones, and new states of those that are known. */
  readonly disputes?: readonly Dispute[]
  /** What waits for a decision now; of one that did already, what was taken since. */
  readonly held?: readonly Held[]
  readonly entries?: readonly LedgerEntry[]
}

/** Saves all of it in one statement. */
export type SaveChanges = (work: Work, changes: Changes) => Promise<void>

/** An answer as it goes out, and as it is kept for its Idempotency-Key. */
export type KeptBytes = { readonly bytes: Buffer; readonly sealed: Buffer }

/** What a repeated key gets: the first answer, word that it is being worked on, or that it came with something else. */
export type Replay =
  | { readonly kind: 'answer'; readonly bytes: Buffer; readonly replayed: boolean }
  | { readonly kind: 'in-flight' }
  | { readonly kind: 'reused' }

/** A row that is the receipt of its request: what it asked, its answer once there is one, and until when somebody is at it. */
export type KeyedRow = {
  readonly requestHash: Buffer | null
  readonly sealedAnswer: Buffer | null
  readonly leaseUntil: Date | null
}

/** What a request with this row gets at once; undefined when the row is to be carried out, first or again. */
export function replayOf(
  row: KeyedRow | undefined,
  { requestHash, open }: { readonly requestHash: Buffer; open(sealed: Buffer): Buffer },
  now: Date,
): Replay | undefined {
  if (!row) return undefined
  if (!row.requestHash?.equals(requestHash)) return { kind: 'reused' }
  if (row.sealedAnswer) return { kind: 'answer', bytes: open(row.sealedAnswer), replayed: true }
  return row.leaseUntil && row.leaseUntil > now ? { kind: 'in-flight' } : undefined
}
