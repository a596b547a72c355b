import { join, resolve } from 'node:path'
import { Command } from 'commander'
import pc from 'picocolors'
import { type EmptyPlace, emptyDatabase, emptyFolder, emptyServer } from '#platform/backup/empty-places.ts'
import { readIdentity } from '#platform/backup/key.ts'
import { type Config, readConfig } from '../config.ts'
import { proofLines, proofOf } from './backup.ts'
import { tell } from './connect.ts'
import { isSound, type Restored, restoreBackup } from './restoring.ts'
import { stoppable } from './stoppable.ts'
import { table } from './table.ts'

type Flags = { dryRun?: boolean; json?: boolean }

export const command = new Command('restore')
  .description(
    'bring a backup back into an empty database, all of it or nothing, and hold its books against every invariant',
  )
  .argument('<file>', 'what `stoa backup` wrote; BACKUP_KEY must be its secret half')
  .option('--dry-run', 'into a fresh database that is thrown away: does this backup restore, with these keys?')
  .option('--json', 'print JSON')
  .action(async (file: string, { dryRun, json }: Flags) => {
    const config = readConfig()
    const done = await restoreShop(resolve(file), config, dryRun ? emptyServer : () => emptyShop(config))
    console.log(json ? JSON.stringify(factsOf(done), null, 2) : report(done, dryRun ?? false))
    if (!isSound(done)) process.exitCode = 1
  })

/** Where the shop's database is to be: the one that DATABASE_URL names, else a new embedded one. */
const emptyShop = ({ databaseUrl, databaseOwnerUrl, dataDir }: Config): Promise<EmptyPlace> =>
  databaseUrl ? emptyDatabase(databaseUrl, databaseOwnerUrl ?? databaseUrl, tell) : emptyFolder(join(dataDir, 'pg'))

const restoreShop = (file: string, config: Config, open: () => Promise<EmptyPlace>): Promise<Restored> =>
  stoppable('nothing was restored', async (signal) =>
    restoreBackup({ file, identity: await readIdentity(config.backupKey), config, signal, open }),
  )

const factsOf = (restored: Restored) => {
  const { place, head, rows } = restored
  return { place, takenAt: head.takenAt, tables: head.tables.length, rows, ...proofOf(restored) }
}

/** What was restored, for people, and what is left to them. */
function report(restored: Restored, dryRun: boolean): string {
  const [proof, ...wrong] = proofLines(restored)
  const { place, head, rows } = restored
  const next = dryRun
    ? []
    : [
        ['now', '`stoa erasures --apply FILE`: forgets again whom the shop forgot since'],
        ['', 'start it, then `stoa reconcile`: books what providers did since'],
      ]
  return [
    table([
      [pc.green('restored'), `${rows} rows of ${head.tables.length} tables, as of ${head.takenAt}`],
      ['into', dryRun ? `${place}, which is gone again` : place],
      ['checked', proof as string],
      ...next,
    ]),
    ...wrong,
  ].join('\n')
}
