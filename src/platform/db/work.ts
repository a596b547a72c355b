import type { Kysely, RawBuilder, Transaction } from 'kysely'
import type { DomainEvent } from '#kernel/event.ts'
import type { ApiKeyId, SessionId, UserId } from '#kernel/ids.ts'

/** Who asks. `permissions` are those of its roles; a guest proves single carts and orders with their tokens. */
export type Actor = {
  readonly kind: 'guest' | 'customer' | 'staff' | 'server' | 'system'
  readonly userId: UserId | null
  /** The IP address that the request came from; a server key may name its shopper's (X-Buyer-IP). Null: no request. */
  readonly address: string | null
  /** The session of the access token, where there is one. */
  readonly sessionId?: SessionId | undefined
  /** When that session last proved itself by password, and by a second factor; null: never. */
  readonly authenticatedAt?: Date | undefined
  readonly secondFactorAt?: Date | null | undefined
  /** The API key of a server. */
  readonly apiKeyId?: ApiKeyId | undefined
  readonly permissions: ReadonlySet<string>
  /** What the roles would allow as well, if the session had proved itself by a second factor. */
  readonly withheld?: ReadonlySet<string> | undefined
  /** The account's language; of a guest what the Accept-Language says that we write. Undefined: it says nothing. */
  readonly locale?: string | undefined
  readonly cartToken?: string | undefined
  readonly orderToken?: string | undefined
}

/** One row of the audit log: what a person with rights changed. It names columns and amounts, never personal data. */
export type AuditEntry = {
  readonly action: string
  readonly subject: string
  readonly before: object | null
  readonly after: object | null
}

/** A pool or a transaction to read from. */
export type Reader = Kysely<{}>

/** One unit of work: a transaction, the moment, who asked, and the events and audit rows to store if it commits. */
export type Work = {
  readonly tx: Transaction<{}>
  readonly now: Date
  readonly actor: Actor
  readonly requestId: string
  emit(...events: readonly DomainEvent[]): void
  audit(entry: AuditEntry): void
}

/** A command that is one statement, run in autocommit: nothing to roll back, and no events. */
export type Single = Omit<Work, 'tx' | 'emit' | 'audit'> & {
  readonly db: Kysely<{}>
  /** The part of the one statement that leaves these audit rows, where `onlyIf` holds of its other parts. */
  auditing(entries: readonly AuditEntry[], onlyIf?: RawBuilder<unknown>): RawBuilder<unknown>
}

/** Events of the types that a consumer asked for, oldest first, as stored. */
export type StoredEvent = DomainEvent & {
  readonly id: number
  readonly occurredAt: Date
  readonly requestId: string
}

/** A reaction takes a batch of events in one transaction; what it throws makes each event be tried alone, later. */
export type Reaction = (work: Work, events: readonly StoredEvent[]) => Promise<void>

/** What a context reacts to: event type → consumer name → reaction. Names are stored: never rename one. */
export type Reactions = Readonly<Record<string, Readonly<Record<string, Reaction>>>>
