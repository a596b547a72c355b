import { Command } from 'commander'
import { openDatabase } from '#platform/db/pool.ts'
import { type Rotation, rotateKeys } from '#platform/security/rotate-keys.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import type { Config } from '../config.ts'
import { makeBar } from './bar.ts'
import { tell, withDatabase } from './connect.ts'
import { record } from './record.ts'
import { stoppable } from './stoppable.ts'

export const command = new Command('rotate-keys')
  .description('seal all personal data under new keys while the shop runs; the same command goes on where it stopped')
  .option('--json', 'print JSON')
  .action((options: { json?: boolean }) =>
    withDatabase(async ({ ownerUrl }, config) => {
      const rotation = await stoppable('the same command goes on from here', (signal) =>
        rotateShop(ownerUrl, config, signal),
      )
      console.log(options.json ? JSON.stringify(rotation, null, 2) : report(rotation))
      if (rotation.broken.length > 0 || rotation.busy > 0) process.exitCode = 1
    }),
  )

async function rotateShop(ownerUrl: string, config: Config, signal: AbortSignal): Promise<Rotation> {
  const log = makeLog({ level: config.logLevel, sync: true })
  const pool = { url: ownerUrl, maxConnections: 2, connectTimeoutMs: 10_000, onIdleError: () => {} }
  const database = openDatabase(pool)
  const bar = makeBar('sealing anew  {bar}  row {value} of {total}')
  try {
    const rotation = await rotateKeys({
      db: database.db,
      masterKeys: config.encryptionKeys,
      log,
      signal,
      onStep: tell,
      onProgress: bar.show,
    })
    const { masterKey, columnsKey, deleted } = rotation
    const after = { masterKey, dataKey: columnsKey.id, deleted }
    await record(database.db, 'rotate-keys', { action: 'keys.rotate', subject: 'data-keys', before: null, after })
    return rotation
  } finally {
    bar.end()
    await database.close()
  }
}

/** What was done, and what is left to do. */
export function report(rotation: Rotation): string {
  const { masterKey, rewrapped, columnsKey, resealed, broken, busy, deleted, kept, spareMasterKeys } = rotation
  const rows = Object.entries(resealed).filter(([, count]) => count > 0)
  const total = rows.reduce((sum, [, count]) => sum + count, 0)
  return [
    `all data keys are wrapped under master key ${masterKey}${rewrapped.length > 0 ? `, ${rewrapped.length} of them since now` : ''}`,
    `data key ${columnsKey.id} seals now${columnsKey.made ? '' : ': went on with a rotation that had not ended'}`,
    `${total} rows sealed anew${rows.map(([table, count]) => `\n  ${table}  ${count}`).join('')}`,
    ...(deleted.length > 0 ? [`deleted data keys ${deleted.join(', ')}`] : []),
    ...kept.map(({ id, values, until }) =>
      values > 0
        ? `data key ${id} stays: ${values} values are sealed with it`
        : `data key ${id} is unused: run this again after ${until.toISOString()} to delete it`,
    ),
    ...(spareMasterKeys.length > 0
      ? [
          `master keys ${spareMasterKeys.join(', ')} can be taken out of ENCRYPTION_KEYS; keep them as long as backups of before`,
        ]
      : []),
    ...(busy > 0 ? [`${busy} rows were busy to the end: run this again`] : []),
    ...broken.map((place) => `does not open, and was left as it is: ${place}`),
  ].join('\n')
}
