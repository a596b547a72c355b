import type { Kysely, Transaction } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { DomainEvent } from '#kernel/event.ts'
import { Refusal } from '#kernel/refusal.ts'
import { refuse } from '#platform/problems.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import { isConnectionLost, isRerunnable, isUniqueViolation } from './errors.ts'
import { finish, insertAudit, type ReceiptRow, type SealAddress } from './finish.ts'
import type { Actor, AuditEntry, Single, Work } from './work.ts'

/** Who asks for a command, and under which request id it is traced. */
export type Command = { readonly actor: Actor; readonly requestId: string }

/** How a command's answer is kept and found again under its Idempotency-Key (platform/db/receipts.ts). */
export type Receipt<T> = {
  /** Takes the key for this transaction, or returns the answer already kept. Absent where a row guards the command. */
  readonly claim?: (tx: Transaction<{}>) => Promise<T | undefined>
  /** The answer kept under this key, if any: asked after a refusal, a unique violation or a lost commit. */
  readonly find: () => Promise<T | undefined>
  readonly row: (result: T, now: Date) => ReceiptRow
}

export type Perform = {
  /**
   * Runs one command in one READ COMMITTED transaction: what it throws undoes everything, what it returns is
   * committed together with its events, audit rows and receipt. Lost races (40001, 40P01) are run again.
   */
  <T>(command: Command, run: (work: Work) => Promise<T>, receipt?: Receipt<T>): Promise<T>
  /** Runs a command that is one statement, in autocommit. */
  one<T>(command: Command, run: (single: Single) => Promise<T>): Promise<T>
}

const MAX_RUNS = 4

/** Makes `perform`; `onEvents` is told, after the commit, of the events that are to be published. */
export function makePerform(
  db: Kysely<{}>,
  clock: Clock,
  seal: SealAddress,
  onEvents: (events: readonly DomainEvent[]) => void,
): Perform {
  const perform: Perform = async (command, run, receipt) => {
    for (let attempt = 1; ; attempt += 1) {
      const events: DomainEvent[] = []
      const audit: AuditEntry[] = []
      let committing = false
      try {
        const result = await db.transaction().execute(async (tx) => {
          const kept = await receipt?.claim?.(tx)
          if (kept !== undefined) return kept
          const work: Work = {
            ...command,
            tx,
            now: clock(),
            emit: (...more) => void events.push(...more),
            audit: (entry) => void audit.push(entry),
          }
          const answer = await run(work)
          await finish(work, events, audit, receipt?.row(answer, work.now), seal)
          if (events.length > 0) await failpoint('event.appended')
          if (receipt) await failpoint('command.before-commit')
          committing = true
          return answer
        })
        if (receipt) await failpoint('command.committed')
        if (events.length > 0) onEvents(events)
        return result
      } catch (error) {
        if (isRerunnable(error) && attempt < MAX_RUNS) continue
        const lost = committing && isConnectionLost(error)
        if (receipt && (lost || error instanceof Refusal || isUniqueViolation(error))) {
          const kept = await receipt.find().catch((unfound) => {
            if (!lost) throw unfound
          })
          if (kept !== undefined) return kept
        }
        if (lost) throw refuse('platform.outcome-unknown', undefined, { retryAfterSeconds: 1 })
        throw error
      }
    }
  }
  perform.one = async (command, run) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const now = clock()
        const auditing: Single['auditing'] = (entries, onlyIf) =>
          insertAudit({ ...command, now }, entries, seal, onlyIf)
        return await run({ ...command, db, now, auditing })
      } catch (error) {
        if (!isRerunnable(error) || attempt >= MAX_RUNS) throw error
      }
    }
  }
  return perform
}
