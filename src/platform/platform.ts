import type { FastifyPluginAsync } from 'fastify'
import type { Clock } from '#kernel/clock.ts'
import type { Problems } from '#kernel/refusal.ts'
import type { Perform } from './db/perform.ts'
import type { Reactions, Reader } from './db/work.ts'
import type { AnswerRequest } from './http/answer.ts'
import type { Origins } from './http/origins.ts'
import type { Pump, PumpOptions } from './jobs/pump.ts'
import type { Task } from './jobs/task.ts'
import type { Limits } from './limits/limits.ts'
import type { Mailer } from './mail/mail.ts'
import type { CallWatch } from './resilience/call-watch.ts'
import type { Encryption } from './security/encryption.ts'
import type { GuestTokens } from './security/guest-tokens.ts'
import type { Log } from './telemetry/log.ts'
import type { Measure } from './telemetry/metrics.ts'

/** What every context is built from: the machinery of one process, and nothing that knows the business. */
export type Platform = AnswerRequest & {
  readonly db: Reader
  readonly perform: Perform
  readonly clock: Clock
  readonly log: Log
  readonly encryption: Encryption
  readonly guestTokens: GuestTokens
  readonly mail: Mailer
  readonly limits: Limits
  readonly origins: Origins
  /** Counts the calls to a server outside, by the name that it is given. */
  readonly watchCalls: (server: string) => CallWatch
  /** Background work of this process: started where the process works on the background, and only woken elsewhere. */
  readonly pump: (options: Omit<PumpOptions, 'log'>) => Pump
}

/** What a context hands to the composition root beside its public functions. */
export type Context = {
  /** Everything that it can refuse, by code. */
  readonly problems: Problems
  /** Its routes, mounted under `/v1` unless they say otherwise. */
  readonly routes: FastifyPluginAsync
  /** Its reactions to events. */
  readonly on: Reactions
  /** Its background jobs by name, and when the scheduled ones run (cron syntax, UTC). */
  readonly tasks: Readonly<Record<string, Task>>
  readonly cron: readonly { readonly task: string; readonly match: string }[]
  /** Business numbers for `/metrics`. */
  readonly measures: readonly Measure[]
}
