import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { missing, StripeFailure } from './failure.ts'
import type { Posting } from './ledger.ts'

/** An object in the very shape in which Stripe shows it, what can be expanded as an id. Never changed, only replaced. */
export type StripeObject = { readonly id: string; readonly object: string; readonly created: number } & {
  readonly [field: string]: any
}

/** An answer of the API. */
export type Outcome = { readonly status: number; readonly body: object }

export type StripeEvent = StripeObject & { readonly type: string }

/** The first answer to an idempotency key, and what was asked with it. */
export type StoredAnswer = {
  readonly endpoint: string
  readonly asked: string
  readonly status: number
  readonly body: string
  readonly requestId: string
  readonly at: number
}

type Entry =
  | { readonly put: StripeObject }
  | { readonly event: StripeEvent }
  | { readonly settled: string }
  | { readonly posting: Posting }
  | { readonly key: string; readonly answer: StoredAnswer }
  | { readonly ahead: number }

/** What is there: to be read, of a draft with its changes. */
export type View = {
  find(id: string): StripeObject | undefined
  /** Objects of a kind, from the newest on. */
  all(kind: string): StripeObject[]
}

export type Books = ReturnType<typeof openBooks>
export type Draft = ReturnType<Books['draft']>

/** An id as Stripe's look: `pi_…`. */
export const stripeId = (kind: 'pi' | 'ch' | 're' | 'dp' | 'evt' | 'req'): string =>
  `${kind}_${randomBytes(12).toString('hex')}`

/**
 * Opens the double's books, from their journal when there is one. What belongs together is one line of it, handed to the
 * kernel before it is answered: `kill -9` loses nothing and leaves nothing half done. Nothing is synced to the disk.
 */
export function openBooks(apiVersion: string, journalFile?: string) {
  const objects = new Map<string, StripeObject>()
  const kinds = new Map<string, Map<string, StripeObject>>()
  const undelivered = new Set<string>()
  const postings: Posting[] = []
  const answers = new Map<string, StoredAnswer>()
  let aheadMs = 0
  let closed = false

  const put = (object: StripeObject): void => {
    objects.set(object.id, object)
    const same = kinds.get(object.object)
    if (same) same.set(object.id, object)
    else kinds.set(object.object, new Map([[object.id, object]]))
  }
  const apply = (entry: Entry): void => {
    if ('put' in entry) put(entry.put)
    else if ('event' in entry) {
      put(entry.event)
      undelivered.add(entry.event.id)
    } else if ('settled' in entry) undelivered.delete(entry.settled)
    else if ('posting' in entry) postings.push(entry.posting)
    else if ('ahead' in entry) aheadMs = entry.ahead
    else answers.set(entry.key, entry.answer)
  }
  const journal = journalFile === undefined ? undefined : openJournal(journalFile, apply)
  const keep = (...entries: readonly Entry[]): void => {
    if (closed) throw new StripeFailure(503, { type: 'api_error', message: 'The double is closed.' }, false)
    if (entries.length === 0) return
    if (journal !== undefined) writeSync(journal, `${JSON.stringify(entries)}\n`)
    for (const entry of entries) apply(entry)
  }
  const nowMs = (): number => Date.now() + aheadMs

  return {
    undelivered: undelivered as ReadonlySet<string>,
    postings: postings as readonly Posting[],
    answers: answers as ReadonlyMap<string, StoredAnswer>,
    keep,
    nowMs,
    /** Objects of a kind, from the newest on. */
    all: (kind: string): StripeObject[] => [...(kinds.get(kind)?.values() ?? [])].reverse(),
    find: (id: string): StripeObject | undefined => objects.get(id),
    /** Lets the double's time pass, without waiting for it. */
    advance: (ms: number): void => keep({ ahead: aheadMs + ms }),
    /** The changes of one request: seen by it at once, and kept together or not at all. */
    draft(request: { id: string | null; key: string | null } = { id: null, key: null }) {
      const entries: Entry[] = []
      const staged = new Map<string, StripeObject>()
      return {
        nowMs,
        now: (): number => Math.floor(nowMs() / 1000),
        /** One object of a kind; fails with Stripe's words when there is none. */
        read: (kind: string, id: string, param: string, status: 400 | 404 = 404): StripeObject => {
          const found = staged.get(id) ?? objects.get(id)
          if (found?.object !== kind) throw missing(kind, id, param, status)
          return found
        },
        find: (id: string): StripeObject | undefined => staged.get(id) ?? objects.get(id),
        all: (kind: string): StripeObject[] => {
          const changed = [...staged.values()].filter(({ object }) => object === kind)
          const made = changed.filter(({ id }) => !objects.has(id)).reverse()
          return [...made, ...[...(kinds.get(kind)?.values() ?? [])].reverse().map((one) => staged.get(one.id) ?? one)]
        },
        put: <T extends StripeObject>(object: T): T => {
          staged.set(object.id, object)
          entries.push({ put: object })
          return object
        },
        post: (posting: Omit<Posting, 'at'>): void => {
          entries.push({ posting: { ...posting, at: nowMs() } })
        },
        /** Makes an event, with the object as it is now. */
        tell: (type: string, object: StripeObject): void => {
          const event = {
            id: stripeId('evt'),
            object: 'event',
            api_version: apiVersion,
            created: Math.floor(nowMs() / 1000),
            data: { object },
            livemode: false,
            pending_webhooks: 1,
            request: { id: request.id, idempotency_key: request.key },
            type,
          }
          entries.push({ event })
        },
        /** Keeps everything, and tells which events came of it. */
        commit: (...more: readonly Entry[]): StripeEvent[] => {
          keep(...entries, ...more)
          return entries.flatMap((entry) => ('event' in entry ? [entry.event] : []))
        },
      }
    },
    /** Ends it: whatever is still under way changes nothing any more. */
    close: (): void => {
      closed = true
      if (journal !== undefined) closeSync(journal)
    },
  }
}

/** Reads a journal back; a last line that a dying process did not finish was never answered for, and goes. */
function openJournal(file: string, apply: (entry: Entry) => void): number {
  if (existsSync(file)) {
    const written = readFileSync(file, 'utf8')
    const whole = written.slice(0, written.lastIndexOf('\n') + 1)
    if (whole !== written) writeFileSync(file, whole)
    for (const line of whole.split('\n').slice(0, -1)) for (const entry of JSON.parse(line) as Entry[]) apply(entry)
  }
  return openSync(file, 'a')
}
