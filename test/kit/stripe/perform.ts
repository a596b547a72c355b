import { setTimeout as pause } from 'node:timers/promises'
import type { Books, Outcome, StripeEvent } from './books.ts'
import { StripeFailure } from './failure.ts'
import { type Fault, staysWithKey } from './faults.ts'
import { canonical, type Params } from './form.ts'
import type { Idempotency } from './idempotency.ts'
import { get, post, shown } from './routes.ts'

export type Asked = {
  readonly method: string
  readonly path: string
  readonly params: Params
  readonly key: string | undefined
}

export type Answer = { readonly status: number; readonly body: string; readonly headers: Record<string, string> }

export type Needs = {
  readonly books: Books
  readonly idempotency: Idempotency
  readonly url: () => string
  readonly apiVersion: string
  readonly latencyMs: number
  readonly searchLagMs: () => number
  readonly onChange: (events: readonly StripeEvent[]) => void
}

/**
 * Does what was asked, once per idempotency key, and answers as Stripe does. Whatever a fault does to the way there and
 * back, an effect and the answer to its key are kept together.
 */
export async function perform(
  needs: Needs,
  asked: Asked,
  fault: Fault | undefined,
  requestId: string,
): Promise<Answer> {
  const { books, idempotency } = needs
  const { method, path, params, key } = asked
  const until = fault?.kind === 'silence' && fault.at === 'before' ? fault.delayMs : undefined
  const first = method === 'POST' && key !== undefined ? idempotency.begin(key, path, params) : undefined
  if (first) {
    const headers = { 'idempotent-replayed': 'true', 'original-request': first.requestId, ...doNotRetry(first.status) }
    return { status: first.status, body: first.body, headers }
  }
  try {
    await pause(until ?? needs.latencyMs)
    if (method === 'POST') return execute(needs, asked, fault, requestId)
    return answerOf(shown(books, { status: 200, body: get(books, path, params, needs.searchLagMs()) }, params))
  } finally {
    if (key !== undefined) idempotency.end(key)
  }
}

/** The operation itself, in one go: its changes, its events and the answer to its key are kept together. */
function execute(needs: Needs, asked: Asked, fault: Fault | undefined, requestId: string): Answer {
  const { books } = needs
  const crash = fault?.kind === 'error' && staysWithKey(fault) ? fault : undefined
  const draft = books.draft({ id: requestId, key: asked.key ?? null })
  const { outcome, began } = attempt(() => {
    if (crash?.at === 'before') throw brokenDown(crash.status, true)
    const params = fault?.kind === 'card' ? { ...asked.params, payment_method: fault.paymentMethod } : asked.params
    return post(draft, asked.path, params, needs.url())
  })
  const crashed = crash?.at === 'after' ? outcomeOf(brokenDown(crash.status)) : undefined
  const answer = answerOf(shown(draft, crashed ?? outcome, asked.params))
  const { status, body } = answer
  const stored = { endpoint: asked.path, asked: canonical(asked.params), status, body, requestId, at: books.nowMs() }
  const effective = outcome.status === 200 || outcome.status === 402 ? draft : books.draft()
  needs.onChange(effective.commit(...(asked.key !== undefined && began ? [{ key: asked.key, answer: stored }] : [])))
  return { ...answer, headers: doNotRetry(status) }
}

function attempt(run: () => Outcome): { outcome: Outcome; began: boolean } {
  try {
    return { outcome: run(), began: true }
  } catch (error) {
    if (!(error instanceof StripeFailure)) throw error
    return { outcome: outcomeOf(error), began: error.began }
  }
}

const answerOf = ({ status, body }: Outcome): Answer => ({ status, body: JSON.stringify(body, null, 2), headers: {} })

/** A 5xx of Stripe's own code stays with its key, and so it says not to retry. */
const doNotRetry = (status: number): Record<string, string> => (status >= 500 ? { 'stripe-should-retry': 'false' } : {})

/** Stripe's words for an error of its own. */
const brokenDown = (status = 500, began = true): StripeFailure =>
  new StripeFailure(status, { type: 'api_error', message: "Something went wrong on Stripe's end." }, began)

/** What is answered to a request that failed; what is not Stripe's refusal is a mistake of the double, and told. */
export function answerTo(error: unknown): Answer {
  if (!(error instanceof StripeFailure)) console.error(error)
  const failure = error instanceof StripeFailure ? error : brokenDown()
  const again = failure.status === 409 || failure.status === 429
  return { ...answerOf(outcomeOf(failure)), headers: again ? { 'stripe-should-retry': 'true' } : {} }
}

const outcomeOf = ({ status, body }: StripeFailure): Outcome => ({ status, body: { error: body } })
