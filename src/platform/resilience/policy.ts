import * as cockatiel from 'cockatiel'
import type { CallResult, CallWatch } from './call-watch.ts'

/** How many calls may be under way at once, and how many more may wait for their turn. Whoever comes then is refused. */
export type Places = { readonly atOnce: number; readonly waiting: number }

export type PolicyOptions<Answer> = {
  /** What a call may take in all: waiting for a place, tries and the pauses between them. */
  readonly timeoutMs: number
  readonly tryMs: number
  readonly places: Places
  /** Places of their own for calls that somebody waits for. */
  readonly urgentPlaces?: Places | undefined
  readonly watch: CallWatch
  /** Whether an answer means that the server is not well. */
  isFailure(answer: Answer): boolean
  /** How long to pause at least before asking again after this answer; undefined when that is no use. */
  repeatAfterMs(answer: Answer): number | undefined
}

/** Runs a call by the rules of its server. `signal` ends it early. */
export type Policy<Answer> = (
  call: (signal: AbortSignal) => Promise<Answer>,
  how: { readonly repeatable: boolean; readonly urgent: boolean },
  signal: AbortSignal,
) => Promise<Answer>

const REPEATS = 2
const FIRST_PAUSE_MS = 50
const OPENS_ABOVE = { threshold: 0.8, size: 30, minimumNumberOfCalls: 25 }
const PROBE_AFTER_MS = 2_000
const { Closed, HalfOpen, Open } = cockatiel.CircuitState

/**
 * The rules for calls to one server, outside in: the time of the whole, repeats of what may be repeated, a place, the
 * circuit breaker, the time of one try. docs/adr/0011 says why in this order, and why these numbers.
 */
export function makePolicy<Answer>(options: PolicyOptions<Answer>): Policy<Answer> {
  const { timeoutMs, places, urgentPlaces = places, watch } = options
  const whole = cockatiel.timeout(timeoutMs, cockatiel.TimeoutStrategy.Aggressive)
  const lanes = { ordinary: bulkheadOf(places), urgent: bulkheadOf(urgentPlaces) }
  const isFailure = (answer: unknown) => options.isFailure(answer as Answer)
  const breaker = cockatiel.circuitBreaker(cockatiel.handleAll.orWhenResult(isFailure), {
    breaker: new cockatiel.CountBreaker(OPENS_ABOVE),
    halfOpenAfter: PROBE_AFTER_MS,
  })
  breaker.onStateChange((state) =>
    watch.turned(state === Closed ? 'closed' : state === HalfOpen ? 'half-open' : 'open'),
  )
  const single = cockatiel.timeout(options.tryMs, cockatiel.TimeoutStrategy.Aggressive)

  return async (call, { repeatable, urgent }, signal) => {
    const began = performance.now()
    const repeats = cockatiel.retry(
      cockatiel
        .handleWhen((error) => repeatable && isWorthRepeating(error))
        .orWhenResult((answer) => {
          const afterMs = options.repeatAfterMs(answer as Answer)
          return repeatable && afterMs !== undefined && performance.now() + afterMs < began + timeoutMs
        }),
      {
        maxAttempts: REPEATS,
        backoff: new cockatiel.DelegateBackoff(({ attempt, result }: cockatiel.IRetryBackoffContext<unknown>) => {
          const jittered = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random())
          return Math.max(jittered, ('value' in result && options.repeatAfterMs(result.value as Answer)) || 0)
        }),
      },
    )
    const lane = urgent ? lanes.urgent : lanes.ordinary
    let heard: Promise<Answer> | undefined
    const attempt = ({ signal }: { signal: AbortSignal }): Promise<Answer> => {
      // One probe at a time, and nobody waits: neither for what it says, nor for a place behind calls that hang.
      if (breaker.state === HalfOpen || (breaker.state === Open && lane.executionSlots === 0))
        throw new cockatiel.BrokenCircuitError()
      const send = ({ signal }: { signal: AbortSignal }) => {
        heard = call(signal)
        return heard
      }
      return cockatiel.wrap(lane, breaker, single).execute(send, signal)
    }
    const outcome = whole
      .execute(({ signal }) => repeats.execute(attempt, signal), signal)
      // What was heard before the breaker opened says more than the refusal to ask again.
      .catch((error) => (isRefusal(error) && heard ? heard : Promise.reject(error)))
    const resultOf = (result: CallResult) => watch.ended(result, performance.now() - began)
    outcome.then(
      (answer) => resultOf(isFailure(answer) ? 'failed' : 'answered'),
      (error) => resultOf(isRefusal(error) ? 'refused' : 'silent'),
    )
    return outcome
  }
}

const bulkheadOf = ({ atOnce, waiting }: Places) => cockatiel.bulkhead(atOnce, waiting)

/** Whether a call was refused here and never left: the breaker is open, or all places are taken. */
const isRefusal = (error: unknown): boolean =>
  cockatiel.isBrokenCircuitError(error) || cockatiel.isBulkheadRejectedError(error)

/** A try that ran out of time is not worth it: a slow server gets slower by it, and may still be at work on the first. */
const isWorthRepeating = (error: unknown): boolean => !isRefusal(error) && !cockatiel.isTaskCancelledError(error)
