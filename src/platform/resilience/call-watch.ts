import type { Log } from '#platform/telemetry/log.ts'
import type { CallMetrics } from '#platform/telemetry/metrics.ts'

/** What a call came to: an answer, one that says that the server is not well, none, or it was never sent. */
export type CallResult = 'answered' | 'failed' | 'silent' | 'refused'
export type BreakerState = 'closed' | 'half-open' | 'open'

/** Who hears how the calls to one server go. */
export type CallWatch = {
  ended(result: CallResult, elapsedMs: number): void
  /** The circuit breaker is in another state. */
  turned(state: BreakerState): void
}

export const unwatched: CallWatch = { ended: () => {}, turned: () => {} }

/** Counts the calls to a server by its name, and says in the log when it is given up and when it is back. */
export const makeCallWatch =
  (metrics: CallMetrics, log: Log) =>
  (server: string): CallWatch => {
    metrics.breaker(server, 'closed')
    return {
      ended: (result, elapsedMs) => metrics.call(server, result, elapsedMs),
      turned: (state) => {
        metrics.breaker(server, state)
        if (state === 'open') log.error({ server }, 'an outside server does not answer well: calls to it are refused')
        if (state === 'closed') log.warn({ server }, 'an outside server answers again')
      },
    }
  }
