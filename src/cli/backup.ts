import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import pc from 'picocolors'
import type { Digest, Head } from '#platform/backup/contents.ts'
import { emptyServer } from '#platform/backup/empty-places.ts'
import { makeBackupKey, readBackupKey } from '#platform/backup/key.ts'
import { type Draft, lockFile } from '#platform/backup/locked-file.ts'
import { BACKED_UP } from '#platform/backup/measures.ts'
import { saveDatabase } from '#platform/backup/save.ts'
import { openDatabase } from '#platform/db/pool.ts'
import { masterKeyIdOf } from '#platform/security/master-keys.ts'
import { type Config, readConfig } from '../config.ts'
import { makeBar } from './bar.ts'
import { tell, withDatabase } from './connect.ts'
import { record } from './record.ts'
import { isSound, type Restored, restoreBackup } from './restoring.ts'
import { stoppable } from './stoppable.ts'
import { table } from './table.ts'

type Flags = { verify: boolean; newKey?: boolean; json?: boolean }

export const command = new Command('backup')
  .description('write all that the shop keeps into one locked file, while it sells, and see that it restores')
  .argument('[to]', 'a folder, or the name of a file that is not there yet', '.')
  .option('--no-verify', 'do not restore it into a fresh database to see that it does')
  .option('--new-key', 'print a new BACKUP_KEY, both its halves, and do nothing else')
  .option('--json', 'print JSON')
  .action(async (to: string, flags: Flags) => {
    if (flags.newKey) return console.log(keyReport(await makeBackupKey(), flags.json ?? false))
    const { recipient } = await readBackupKey(readConfig().backupKey)
    await withDatabase(async ({ ownerUrl }, config) => {
      const wanted = { ownerUrl, recipient, config, to, verify: flags.verify }
      const made = await stoppable('nothing was written', (signal) => backUp({ ...wanted, signal }))
      console.log(flags.json ? JSON.stringify(factsOf(made), null, 2) : report(made))
      if (made.restored && !isSound(made.restored)) process.exitCode = 1
    })
  })

/** A backup that was made. */
export type Backup = {
  readonly file: string
  readonly bytes: number
  readonly head: Head
  readonly rows: number
  readonly recipient: string
  /** What came of restoring it; undefined where that was not wanted. */
  readonly restored: Restored | undefined
}

type Wanted = {
  readonly ownerUrl: string
  readonly recipient: string
  readonly config: Config
  readonly to: string
  readonly verify: boolean
  readonly signal: AbortSignal
}

/** The file has its name only once it was restored; one that does not restore is removed. */
async function backUp({ ownerUrl, recipient, config, to, verify, signal }: Wanted): Promise<Backup> {
  const bar = makeBar('saving     {bar}  {percentage} %')
  const saving = await saveDatabase(ownerUrl, bar.show)
  const { head, parts, digests } = saving
  const file = await fileFor(to, head)
  const draft = await lockFile(parts, file, { recipient, signal }).finally(() => {
    bar.end()
    return saving.close()
  })
  try {
    const restored = verify ? await rehearse(draft, config, signal) : undefined
    await draft.keep()
    await remember(ownerUrl, { takenAt: head.takenAt, bytes: draft.bytes, restored: restored !== undefined })
    return { file, bytes: draft.bytes, head, rows: sum(digests()), recipient, restored }
  } catch (error) {
    await draft.discard()
    throw error
  }
}

/** Leaves a row in the audit log: `stoa_backup_age_seconds` counts from it. A standby cannot be written to, and is backed up all the same. */
async function remember(ownerUrl: string, after: object): Promise<void> {
  const database = openDatabase({ url: ownerUrl, maxConnections: 1, connectTimeoutMs: 10_000, onIdleError: () => {} })
  await record(database.db, 'backup', { action: BACKED_UP, subject: 'database', before: null, after })
    .catch((error: Error) => tell(`the audit log has no row of this backup: ${error.message}`))
    .finally(database.close)
}

async function fileFor(to: string, { takenAt }: Head): Promise<string> {
  const path = resolve(to)
  const isFolder = (await stat(path).catch(() => null))?.isDirectory() ?? false
  const moment = takenAt.replaceAll(/[-:]|\.\d+/g, '')
  return isFolder ? join(path, `stoa-${moment}.sql.gz.age`) : path
}

async function rehearse({ path, identity }: Draft, config: Config, signal: AbortSignal): Promise<Restored> {
  try {
    return await restoreBackup({ file: path, identity, config, signal, open: emptyServer })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw new Error(`the backup does not restore, and was removed: ${(error as Error).message}`, { cause: error })
  }
}

const sum = (digests: readonly Digest[]) => digests.reduce((total, { rows }) => total + rows, 0)

const masterKeysOf = ({ dataKeys }: Head) => [
  ...new Set(dataKeys.map(({ wrapped }) => masterKeyIdOf(Buffer.from(wrapped, 'hex')))),
]

/** What was made, for programs. */
export const factsOf = ({ file, bytes, head, rows, recipient, restored }: Backup) => ({
  ...{ file, bytes, takenAt: head.takenAt, tables: head.tables.length, rows, recipient },
  masterKeys: masterKeysOf(head),
  leftOut: head.leftOut,
  restored: restored ? proofOf(restored) : null,
})

/** What was found in a restored backup, for programs. */
export const proofOf = ({ findings, opened, unreadable }: Restored) => ({
  invariants: findings.length,
  violations: findings.filter(({ violations }) => violations.length > 0),
  sealedValues: opened,
  unreadable,
})

/** What was found in a restored backup, in one line for people, and a line for each thing that is wrong. */
export function proofLines({ findings, opened, unreadable }: Restored): string[] {
  const broken = findings.filter(({ violations }) => violations.length > 0)
  const books =
    broken.length === 0
      ? `all ${findings.length} invariants hold`
      : pc.red(`${broken.length} of ${findings.length} invariants are broken`)
  const values =
    unreadable.length === 0
      ? `all ${opened} sealed values open`
      : pc.red(`${unreadable.length} sealed values do not open`)
  return [
    `${books}, ${values}`,
    ...broken.map(({ id, claim, violations }) =>
      pc.red(`${id}  ${claim}: ${violations.length}, such as ${violations[0]?.subject} (${violations[0]?.detail})`),
    ),
    ...unreadable.slice(0, 5).map((place) => pc.red(`does not open: ${place}`)),
  ]
}

/** What was made, for people: where, whether it restores, and what else is needed to read it. */
export function report({ file, bytes, head, rows, recipient, restored }: Backup): string {
  const [proof, ...wrong] = restored ? proofLines(restored) : [pc.yellow('not tried: `stoa restore --dry-run` does')]
  const keys = masterKeysOf(head).map((id) => `master key ${id}`)
  const secrets = keys.length > 0 ? ` and ENCRYPTION_KEYS with ${keys.join(', ')}` : ''
  return [
    table([
      [pc.green('saved'), file],
      ['', `${sizeOf(bytes)}, ${rows} rows of ${head.tables.length} tables, as of ${head.takenAt}`],
      ['restored', proof as string],
      ['needs', `the secret half of BACKUP_KEY ${shortened(recipient)}${secrets}: they are not in it`],
      ...head.leftOut.map((name) => [pc.yellow('not in it'), `${name}: what is in public is not the shop's`]),
    ]),
    ...wrong,
  ].join('\n')
}

const shortened = (recipient: string) => `${recipient.slice(0, 12)}…${recipient.slice(-4)}`
const sizeOf = (bytes: number) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`)

const keyReport = (key: { secret: string; public: string }, json: boolean): string =>
  json
    ? JSON.stringify(key, null, 2)
    : [
        '# in the environment of whatever makes backups: it only locks them',
        `BACKUP_KEY=${key.public}`,
        '# to restore them: keep it away from that machine, beside ENCRYPTION_KEYS',
        `BACKUP_KEY=${key.secret}`,
      ].join('\n')
