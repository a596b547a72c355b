import type { Books, StoredAnswer } from './books.ts'
import { invalid, StripeFailure } from './failure.ts'
import { canonical, type Params } from './form.ts'

const KEPT_MS = 24 * 3600 * 1000

export type Idempotency = ReturnType<typeof openIdempotency>

/**
 * Stripe's idempotency: once an operation began, its answer, a refusal or a 500 as well, stays with its key for 24 hours and
 * comes again; the same key with anything else is a 400, and while its first request runs a 409.
 */
export function openIdempotency(books: Books) {
  const running = new Set<string>()
  return {
    /** Takes the key for a request, or finds the answer it has had; fails when it cannot have either. */
    begin(key: string, endpoint: string, params: Params): StoredAnswer | undefined {
      if (key.length > 255) throw invalid('Idempotency keys can have up to 255 characters.', 'idempotency_key')
      const first = books.answers.get(key)
      if (first && books.nowMs() - first.at < KEPT_MS) {
        if (first.endpoint !== endpoint)
          throw misused(key, `endpoint they were first used for ('${endpoint}' vs '${first.endpoint}')`)
        if (first.asked !== canonical(params)) throw misused(key, 'parameters they were first used with')
        return first
      }
      if (running.has(key))
        throw new StripeFailure(
          409,
          {
            type: 'invalid_request_error',
            code: 'idempotency_key_in_use',
            message: `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
          },
          false,
        )
      running.add(key)
      return undefined
    },
    /** Lets go of the key: its answer is kept, or it is free. */
    end: (key: string): void => void running.delete(key),
  }
}

const misused = (key: string, what: string): StripeFailure =>
  new StripeFailure(
    400,
    {
      type: 'idempotency_error',
      message: `Keys for idempotent requests can only be used with the same ${what}. Try using a key other than '${key}' if you meant to execute a different request.`,
    },
    false,
  )
