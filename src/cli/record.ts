import { makePerform } from '#platform/db/perform.ts'
import { systemActor } from '#platform/db/system.ts'
import type { AuditEntry, Reader } from '#platform/db/work.ts'

/** Leaves a row in the audit log of what an operator did with this command. */
export async function record(db: Reader, command: string, entry: AuditEntry): Promise<void> {
  const nothing = () => Buffer.alloc(0)
  const perform = makePerform(
    db,
    () => new Date(),
    nothing,
    () => {},
  )
  await perform({ actor: systemActor, requestId: `stoa ${command}` }, async (work) => work.audit(entry))
}
