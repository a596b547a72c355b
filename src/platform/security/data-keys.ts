import { createSecretKey, randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'
import type { Purpose } from './encryption.ts'
import { derivedKey, type MasterKey, type PlainKey, type WrappedKey, wrap } from './master-keys.ts'
import { holdsSealedValues } from './sealed-columns.ts'

/** A data key as the database has it. */
export type DataKey = WrappedKey & {
  /** Made from a master key before there were data keys: its values carry version 1 and that key's id. */
  readonly version1Id: number | null
  /** Whether it has begun to seal; of those that have, the newest does. */
  readonly seals: boolean
  readonly retired: boolean
}

/** A process that opens and seals, as it last said of itself. */
export type Holder = {
  readonly process: string
  readonly masterKeys: readonly string[]
  /** The newest data key that it can open. */
  readonly knows: number
  /** The data key that it seals columns with. */
  readonly sealsWith: number
}

/** What a process says of itself at each refresh; it counts as running until `leaseMs` later. */
export type Report = Holder & { readonly leaseMs: number }

type NewKey = PlainKey & { readonly version1Id: number | null; readonly seals: boolean }

const FIRST_KEYS_LOCK = 7_862_004

/**
 * All data keys by id, in one statement with what this process tells: that it runs, and how often each key has sealed
 * since it last told.
 */
export async function readDataKeys(
  db: Reader,
  report?: Report,
  uses: readonly { id: number; times: number }[] = [],
): Promise<DataKey[]> {
  const holder = report
    ? sql`insert into platform.key_holders (process, master_keys, knows, seals_with, until)
        values (${report.process}, ${report.masterKeys}::text[], ${report.knows}, ${report.sealsWith},
          now() + ${report.leaseMs}::float8 * interval '1 millisecond')
        on conflict (process) do update set master_keys = excluded.master_keys, knows = excluded.knows,
          seals_with = excluded.seals_with, until = excluded.until`
    : sql`select`
  const { rows } = await sql<DataKey>`
    with holder as (${holder}),
    counted as (
      update platform.data_keys k set seals = k.seals + u.times
      from jsonb_to_recordset(${JSON.stringify(uses)}::jsonb) as u (id smallint, times bigint) where k.id = u.id
    )
    select id, purpose, version_1_id as "version1Id", wrapped, coalesce(seals_from <= now(), false) as seals,
      retired_at is not null as retired
    from platform.data_keys order by id`.execute(db)
  return rows
}

/** Makes the first data keys of a database that has none; of two processes at once one does, and the other waits. */
export const makeFirstKeys = (db: Reader, masterKeys: readonly MasterKey[]): Promise<void> =>
  db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(${FIRST_KEYS_LOCK})`.execute(tx)
    if ((await readDataKeys(tx)).length > 0) return
    await insertKeys(tx, masterKeys, (await holdsSealedValues(tx)) ? derivedKeys(masterKeys) : freshKeys())
  })

const freshKeys = (): NewKey[] =>
  (['index', 'columns', 'receipts'] as const).map((purpose, at) => newKey(at + 1, purpose, true))

/** A random data key. One that does not seal yet is announced: every process gets to know it first. */
export const newKey = (id: number, purpose: Purpose, seals: boolean): NewKey => ({
  id,
  purpose,
  secret: createSecretKey(randomBytes(32)),
  version1Id: null,
  seals,
})

/** The keys that a database from before there were data keys is sealed and indexed with; the first master key's seal. */
function derivedKeys(masterKeys: readonly MasterKey[]): NewKey[] {
  const last = masterKeys.at(-1) as MasterKey
  const index = { purpose: 'index' as const, secret: derivedKey(last, 'index'), version1Id: null }
  const sealing = masterKeys.toReversed().flatMap((master) =>
    (['columns', 'receipts'] as const).map((purpose) => ({
      purpose,
      secret: derivedKey(master, purpose),
      version1Id: master.id,
    })),
  )
  return [index, ...sealing].map((key, at) => ({ ...key, id: at + 1, seals: true }))
}

/** Stores new data keys, wrapped under the first master key. */
export async function insertKeys(db: Reader, masterKeys: readonly MasterKey[], keys: readonly NewKey[]): Promise<void> {
  const master = masterKeys[0] as MasterKey
  for (const key of keys)
    await sql`
      insert into platform.data_keys (id, purpose, version_1_id, wrapped, created_at, seals_from)
      values (${key.id}, ${key.purpose}, ${key.version1Id}, ${wrap(master, key)}, now(),
        case when ${key.seals}::boolean then now() end)`.execute(db)
}

/** The processes that are running, as far as is known. */
export async function readHolders(db: Reader): Promise<Holder[]> {
  const { rows } = await sql<Holder>`
    select process, master_keys as "masterKeys", knows, seals_with as "sealsWith"
    from platform.key_holders where until > now() order by process`.execute(db)
  return rows
}

/** Takes a process that ends off the list. */
export const forgetHolder = (db: Reader, process: string): Promise<unknown> =>
  sql`delete from platform.key_holders where process = ${process} or until < now() - interval '1 day'`.execute(db)

/** How much the keys have been used. */
export const keyMeasures = (db: Reader): Measure[] => [
  {
    name: 'stoa_data_key_seals',
    help: 'Values that the data key in use has sealed, about: random nonces allow for 2^32',
    read: async () => {
      const { rows } = await sql<{ seals: number }>`
        select seals from platform.data_keys where purpose = 'columns' and seals_from <= now() order by id desc limit 1`.execute(
        db,
      )
      return [{ value: rows[0]?.seals ?? 0 }]
    },
  },
]
