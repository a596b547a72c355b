import type { Books, Draft, Outcome, View } from './books.ts'
import { StripeFailure } from './failure.ts'
import type { Params } from './form.ts'
import { cancelIntent, captureIntent, confirmIntent, createIntent, updateIntent } from './intents.ts'
import { expanded, listed, retrieved, searched } from './lists.ts'
import { createRefund, updateRefund } from './refunds.ts'

type Operation = (draft: Draft, params: Params, url: string, id: string) => Outcome

const POSTS: readonly (readonly [RegExp, Operation])[] = [
  [/^\/v1\/payment_intents$/, createIntent],
  [/^\/v1\/payment_intents\/([^/]+)$/, updateIntent],
  [/^\/v1\/payment_intents\/([^/]+)\/confirm$/, confirmIntent],
  [/^\/v1\/payment_intents\/([^/]+)\/capture$/, captureIntent],
  [/^\/v1\/payment_intents\/([^/]+)\/cancel$/, cancelIntent],
  [/^\/v1\/refunds$/, createRefund],
  [/^\/v1\/refunds\/([^/]+)$/, updateRefund],
]

const KINDS: Readonly<Record<string, string>> = {
  payment_intents: 'payment_intent',
  charges: 'charge',
  refunds: 'refund',
  disputes: 'dispute',
  events: 'event',
}

/** Runs a POST: its changes are in the draft, also those of a 402. */
export function post(draft: Draft, path: string, params: Params, url: string): Outcome {
  for (const [pattern, operation] of POSTS) {
    const found = pattern.exec(path)
    if (found) return operation(draft, params, url, found[1] ?? '')
  }
  throw unrecognized('POST', path)
}

/** Answers a GET: one object, a page of them, or a search. */
export function get(books: Books, path: string, params: Params, searchLagMs: number): object {
  const [, , collection = '', id, ...more] = path.split('/')
  if (more.length === 0 && path.startsWith('/v1/')) {
    const kind = KINDS[collection]
    if (kind !== undefined && id === undefined) return listed(books, kind, path, params)
    if (kind === 'payment_intent' && id === 'search') return searched(books, path, params, searchLagMs)
    if (kind !== undefined && id !== undefined) return retrieved(books, kind, id)
  }
  throw unrecognized('GET', path)
}

/** An answer with what was asked to be expanded. */
export const shown = (view: View, { status, body }: Outcome, params: Params): Outcome => ({
  status,
  body: status < 300 ? expanded(view, body, params) : body,
})

const unrecognized = (method: string, path: string): StripeFailure =>
  new StripeFailure(
    404,
    { type: 'invalid_request_error', message: `Unrecognized request URL (${method}: ${path}).` },
    false,
  )
