import { setTimeout as pause } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { isLockTimeout } from '#platform/db/errors.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { type Holder, insertKeys, newKey, readDataKeys, readHolders } from './data-keys.ts'
import { headerOfKey, makeEncryption } from './encryption.ts'
import { openKeyRing } from './key-ring.ts'
import { type MasterKey, masterKeyIdOf, nameOf, unwrap, wrap } from './master-keys.ts'
import { countOld, resealTable } from './reseal.ts'
import { deleteUnusedKeys, type KeptKey, retireBefore } from './retired-keys.ts'
import { readRegistry } from './sealed-columns.ts'

export type RotationNeeds = {
  /** The owner of the tables: some may be changed by nobody else. */
  readonly db: Kysely<{}>
  /** The first is the one that all data keys are wrapped under afterwards. */
  readonly masterKeys: readonly MasterKey[]
  readonly log: Log
  readonly signal: AbortSignal
  readonly onStep: (step: string) => void
  readonly onProgress: (done: number, total: number) => void
}

export type Rotation = {
  readonly masterKey: number
  /** Data keys that were wrapped under another master key before. */
  readonly rewrapped: readonly number[]
  /** The data key that all columns are sealed under now, and whether this run made it or went on with it. */
  readonly columnsKey: { readonly id: number; readonly made: boolean }
  /** Rows that were sealed anew, by table. */
  readonly resealed: Readonly<Record<string, number>>
  /** Values that do not open: `schema.table.column:row`. */
  readonly broken: readonly string[]
  /** Rows that somebody kept busy to the end; the next run takes them. */
  readonly busy: number
  readonly deleted: readonly number[]
  readonly kept: readonly KeptKey[]
  /** Master keys that no data key is wrapped under any more. */
  readonly spareMasterKeys: readonly number[]
}

const ROTATION_LOCK = 7_862_005
const POLL_MS = 100
const PATIENCE_MS = 120_000
const DRAIN_MS = 30_000
const QUICK_PASSES = 3
const MAX_PASSES = 20

/**
 * Wraps all data keys under the first master key, makes new ones, and seals every sealed column under them while the shop
 * runs. Killed at any point it goes on when run again. Throws while another rotation runs, and while a running process
 * lacks the first master key.
 */
export const rotateKeys = (needs: RotationNeeds): Promise<Rotation> =>
  needs.db.connection().execute(async (db) => {
    await sql`set statement_timeout = 0`.execute(db)
    await sql`set lock_timeout = '5s'`.execute(db)
    await sql`select pg_advisory_lock(${ROTATION_LOCK})`.execute(db).catch((error) => {
      throw isLockTimeout(error) ? new Error('another rotation of keys is under way') : error
    })
    try {
      return await rotate({ ...needs, db })
    } finally {
      await sql`select pg_advisory_unlock(${ROTATION_LOCK})`.execute(db).catch(() => {})
    }
  })

async function rotate(needs: RotationNeeds): Promise<Rotation> {
  const { db, masterKeys, onStep } = needs
  const ring = await openKeyRing({ ...needs, refreshMs: 0 })
  const rewrapped = await rewrap(needs)
  const columnsKey = await announce(needs)
  onStep('waiting until every process knows the new key')
  await everyHolder(needs, ({ knows }) => knows >= columnsKey.id)
  await sql`update platform.data_keys set seals_from = now() where seals_from is null`.execute(db)
  onStep('waiting until every process seals with it')
  await everyHolder(needs, ({ sealsWith }) => sealsWith >= columnsKey.id)
  await drain(needs)
  await ring.refresh()
  const done = await resealAll(needs, makeEncryption(ring), headerOfKey(columnsKey.id))
  await ring.refresh()
  if (done.busy === 0) await retireBefore(db, columnsKey.id)
  const { deleted, kept } = await deleteUnusedKeys(db)
  return {
    masterKey: (masterKeys[0] as MasterKey).id,
    rewrapped,
    columnsKey,
    ...done,
    deleted,
    kept,
    spareMasterKeys: masterKeys.slice(1).map(({ id }) => id),
  }
}

/** Wraps every data key under the first master key, once every running process has that. */
async function rewrap({ db, masterKeys }: RotationNeeds): Promise<number[]> {
  const master = masterKeys[0] as MasterKey
  const lacking = (await readHolders(db)).filter((holder) => !holder.masterKeys.includes(nameOf(master)))
  if (lacking.length > 0)
    throw new Error(
      `${namesOf(lacking)} runs without master key ${master.id}: restart it with the ENCRYPTION_KEYS of this command first`,
    )
  const old = (await readDataKeys(db)).filter(({ wrapped }) => masterKeyIdOf(wrapped) !== master.id)
  for (const { wrapped, ...key } of old) {
    const secret = unwrap(masterKeys, { ...key, wrapped })
    await sql`
      update platform.data_keys set wrapped = ${wrap(master, { ...key, secret })}
      where id = ${key.id} and wrapped = ${wrapped}`.execute(db)
  }
  return old.map(({ id }) => id)
}

/** The key to seal with: that of a rotation that did not end, else a new one, which does not seal yet. */
async function announce({ db, masterKeys }: RotationNeeds): Promise<{ id: number; made: boolean }> {
  const keys = await readDataKeys(db)
  const columns = keys.filter(({ purpose }) => purpose === 'columns')
  const newest = columns.at(-1)
  const isUnfinished =
    !newest?.seals || (newest.version1Id === null && columns.some((key) => key !== newest && !key.retired))
  if (newest && isUnfinished) return { id: newest.id, made: false }
  const id = Math.max(...keys.map((key) => key.id)) + 2
  await db
    .transaction()
    .execute((tx) => insertKeys(tx, masterKeys, [newKey(id - 1, 'receipts', false), newKey(id, 'columns', false)]))
  return { id, made: true }
}

/** Waits until all running processes are so far. Throws, naming them, when some are not within two minutes. */
async function everyHolder({ db, signal }: RotationNeeds, isSoFar: (holder: Holder) => boolean): Promise<void> {
  for (const start = performance.now(); ; ) {
    const behind = (await readHolders(db)).filter((holder) => !isSoFar(holder))
    if (behind.length === 0) return
    if (performance.now() - start > PATIENCE_MS)
      throw new Error(`${namesOf(behind)} does not load its keys: see its log; then run this again`)
    await pause(POLL_MS, undefined, { signal })
  }
}

/** Waits until transactions that may still hold something sealed under the key before have ended. */
async function drain({ db, signal }: RotationNeeds): Promise<void> {
  const { rows } = await sql<{ next: number }>`
    select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next`.execute(db)
  for (const start = performance.now(); performance.now() - start < DRAIN_MS; ) {
    const { rows: seen } = await sql<{ done: boolean }>`
      select pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= ${rows[0]?.next ?? 0} as done`.execute(db)
    if (seen[0]?.done) return
    await pause(POLL_MS, undefined, { signal })
  }
}

/** Seals all tables anew, over again until nothing is left but what is broken or kept busy. */
async function resealAll(needs: RotationNeeds, encryption: ReturnType<typeof makeEncryption>, header: Buffer) {
  const { db, signal, onProgress } = needs
  const { sealed: tables } = await readRegistry(db)
  let total = 0
  for (const table of tables) total += await countOld(db, table, header)
  const resealed: Record<string, number> = {}
  let done = 0
  const onBatch = (rows: number) => {
    done += rows
    onProgress(Math.min(done, total), total)
    signal.throwIfAborted()
  }
  for (let pass = 1; ; pass += 1) {
    const outcomes = []
    for (const table of tables) {
      const name = `${table.schema}.${table.table}`
      const outcome = await resealTable(db, table, { encryption, header, patient: pass > QUICK_PASSES, onBatch })
      resealed[name] = (resealed[name] ?? 0) + outcome.rows
      outcomes.push(outcome)
    }
    const busy = outcomes.reduce((sum, outcome) => sum + outcome.busy, 0)
    const changed = outcomes.some(({ rows }) => rows > 0)
    if ((!changed && busy === 0) || pass === MAX_PASSES)
      return { resealed, broken: outcomes.flatMap(({ broken }) => broken), busy }
    if (!changed) await pause(POLL_MS, undefined, { signal })
  }
}

const namesOf = (holders: readonly Holder[]) => holders.map(({ process }) => process).join(', ')
