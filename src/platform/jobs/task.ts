import type { Log } from '#platform/telemetry/log.ts'

/** What runs one job. It may be run again after a crash or an error, so it must not mind; `signal` says: end soon. */
export type Task = (
  payload: unknown,
  job: { readonly id: string; readonly signal: AbortSignal; readonly log: Log },
) => Promise<void>
