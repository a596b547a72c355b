import { setTimeout as pause } from 'node:timers/promises'
import { type Books, type Outcome, type StripeEvent, stripeId } from './books.ts'
import { StripeFailure } from './failure.ts'
import type { Fault } from './faults.ts'
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
  readonly latencyMs: number
  readonly searchLagMs: number
  readonly onChange: (events: readonly StripeEvent[]) => void
}

/**
 * Does what was asked, once per idempotency key, and answers as Stripe does. Whatever a fault does to the way there and
 * back, an effect and the answer to its key are kept together.
 */
export async function perform(needs: Needs, asked: Asked, fault: Fault | undefined): Promise<Answer> {
  const requestId = stripeId('req')
  const headers = { 'request-id': requestId, ...(asked.key === undefined ? {} : { 'idempotency-key': asked.key }) }
  try {
    const answer = await once(needs, asked, fault, requestId)
    return { ...answer, headers: { ...headers, ...answer.headers } }
  } catch (error) {
    const failure = error instanceof StripeFailure ? error : internal(error)
    const retry = failure.status === 409 || failure.status === 429 ? { 'stripe-should-retry': 'true' } : {}
    return { status: failure.status, body: bodyOf(failure), headers: { ...headers, ...retry } }
  }
}

async function once(needs: Needs, asked: Asked, fault: Fault | undefined, requestId: string): Promise<Answer> {
  const { books, idempotency } = needs
  if (asked.method === 'GET') {
    await pause(needs.latencyMs)
    return answerOf(
      shown(books, { status: 200, body: get(books, asked.path, asked.params, needs.searchLagMs) }, asked.params),
    )
  }
  if (asked.method !== 'POST')
    throw new StripeFailure(405, { type: 'invalid_request_error', message: 'Only GET and POST.' }, false)
  const { key } = asked
  if (key === undefined) {
    await pause(needs.latencyMs)
    return execute(needs, asked, fault, requestId)
  }
  const first = idempotency.begin(key, asked.path, asked.params)
  if (first) {
    const headers = { 'idempotent-replayed': 'true', 'original-request': first.requestId, ...doNotRetry(first.status) }
    return { status: first.status, body: first.body, headers }
  }
  try {
    await pause(fault?.kind === 'silence' && fault.at === 'before' ? (fault.delayMs ?? 0) : needs.latencyMs)
    return execute(needs, asked, fault, requestId)
  } finally {
    idempotency.end(key)
  }
}

/** The operation itself, in one go: its changes, its events and the answer to its key are kept together. */
function execute(needs: Needs, asked: Asked, fault: Fault | undefined, requestId: string): Answer {
  const { books } = needs
  const draft = books.draft({ id: requestId, key: asked.key ?? null })
  const { outcome, began } = attempt(() => {
    if (fault?.kind === 'error' && fault.at === 'before') throw brokenDown(fault.status, true)
    const params = fault?.kind === 'card' ? { ...asked.params, payment_method: fault.paymentMethod } : asked.params
    return post(draft, asked.path, params, needs.url())
  })
  const broken =
    fault?.kind === 'error' && fault.at === 'after' ? brokenDown(fault.status, fault.kept !== false) : undefined
  const said = broken ? { status: broken.status, body: { error: broken.body } } : outcome
  const answer = answerOf(shown(draft, said, asked.params))
  const kept =
    asked.key === undefined || !began || broken?.began === false
      ? []
      : [
          {
            key: asked.key,
            answer: {
              ...{ endpoint: asked.path, asked: canonical(asked.params), requestId, at: books.nowMs() },
              ...{ status: answer.status, body: answer.body },
            },
          },
        ]
  const effective = outcome.status === 200 || outcome.status === 402 ? draft : books.draft()
  const events = effective.commit(...kept)
  needs.onChange(events)
  return { ...answer, headers: doNotRetry(answer.status) }
}

function attempt(run: () => Outcome): { outcome: Outcome; began: boolean } {
  try {
    return { outcome: run(), began: true }
  } catch (error) {
    if (!(error instanceof StripeFailure)) throw error
    return { outcome: { status: error.status, body: { error: error.body } }, began: error.began }
  }
}

const answerOf = ({ status, body }: Outcome): Answer => ({ status, body: JSON.stringify(body, null, 2), headers: {} })

/** A 5xx of Stripe's own code stays with its key, and so it says not to retry. */
const doNotRetry = (status: number): Record<string, string> => (status >= 500 ? { 'stripe-should-retry': 'false' } : {})

export const brokenDown = (status = 500, began = false): StripeFailure =>
  new StripeFailure(
    status,
    { type: 'api_error', message: 'Sorry! There was an error while talking to our database.' },
    began,
  )

const internal = (error: unknown): StripeFailure => {
  console.error(error)
  return brokenDown()
}

export const bodyOf = (failure: StripeFailure): string => JSON.stringify({ error: failure.body }, null, 2)
