import type { Identity } from 'age-encryption'
import type { Head } from '#platform/backup/contents.ts'
import type { EmptyPlace } from '#platform/backup/empty-places.ts'
import { checkKeys, loadDatabase } from '#platform/backup/load.ts'
import { unlockFile } from '#platform/backup/locked-file.ts'
import { readScript } from '#platform/backup/script.ts'
import { openSealedValues } from '#platform/security/open-sealed.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { buildApp } from '../app.ts'
import { audit, type Finding } from '../audit/audit.ts'
import type { Config } from '../config.ts'
import { makeBar } from './bar.ts'
import { knownSandboxUrl } from './sandbox.ts'

/** What was restored, and whether it is what a shop's books must be. */
export type Restored = {
  /** Where it went. */
  readonly place: string
  readonly head: Head
  readonly rows: number
  readonly findings: readonly Finding[]
  /** Sealed values that were opened, and those that do not open. */
  readonly opened: number
  readonly unreadable: readonly string[]
}

/** Whether every invariant holds and every sealed value opens. */
export const isSound = ({ findings, unreadable }: Restored): boolean =>
  unreadable.length === 0 && findings.every(({ violations }) => violations.length === 0)

type Wanted = {
  readonly file: string
  readonly identity: Identity | string
  readonly config: Config
  readonly signal: AbortSignal
  /** Called once the backup is known to be one, and its keys to be at hand. */
  readonly open: () => Promise<EmptyPlace>
}

/**
 * Restores a backup into an empty place, brings that to this version, and looks at all of it: every invariant of the audit
 * as of the backup's moment, every sealed value. The place is kept, whatever the books say; when the restore fails, nothing is.
 */
export async function restoreBackup({ file, identity, config, signal, open }: Wanted): Promise<Restored> {
  const bar = makeBar('restoring  {bar}  {percentage} %')
  const parts = unlockFile(file, identity, bar.show)
  try {
    const script = await readScript(parts)
    checkKeys(script.head, config.encryptionKeys)
    const place = await open()
    try {
      const rows = await loadDatabase(script, place, signal)
      const looked = await lookAt(place.appUrl, config, new Date(script.head.takenAt))
      signal.throwIfAborted()
      await place.keep()
      return { place: place.place, head: script.head, rows, ...looked }
    } catch (error) {
      await place.discard()
      throw error
    }
  } finally {
    bar.end()
    await parts.return(undefined)
  }
}

async function lookAt(appUrl: string, config: Config, now: Date) {
  const log = makeLog({ level: config.logLevel, sync: true })
  const app = await buildApp({ ...config, sandboxUrl: knownSandboxUrl(config) }, { databaseUrl: appUrl, log })
  try {
    const findings = await audit(app.database.db, { consumers: app.consumers, now, all: false })
    const { opened, broken } = await openSealedValues(app.database.db, app.encryption)
    return { findings, opened, unreadable: broken }
  } finally {
    await app.close()
  }
}
