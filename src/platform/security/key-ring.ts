import type { KeyObject } from 'node:crypto'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Reader } from '#platform/db/work.ts'
import { makePump } from '#platform/jobs/pump.ts'
import { refuse } from '#platform/problems.ts'
import type { Log } from '#platform/telemetry/log.ts'
import { type DataKey, forgetHolder, makeFirstKeys, readDataKeys } from './data-keys.ts'
import { headerOfKey, headerOfVersion1, type KeyRing, type SealingKey } from './encryption.ts'
import { type MasterKey, nameOf, unwrap } from './master-keys.ts'

/** A key ring that follows the database while the process runs. */
export type LiveKeyRing = KeyRing & {
  /** Loads the data keys anew. */
  readonly refresh: () => Promise<void>
  /** From now on this process is known to hold the keys, and loads them every few seconds; twice has no effect. */
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
}

export type KeyRingOptions = {
  readonly db: Reader
  /** The first wraps new data keys; all unwrap. */
  readonly masterKeys: readonly MasterKey[]
  readonly refreshMs: number
  readonly log: Log
}

type UsedKey = SealingKey & { readonly id: number; times: number }
type Sealing = 'columns' | 'receipts'
type Keys = {
  readonly knows: number
  readonly sealing: Readonly<Record<Sealing, UsedKey>>
  readonly opening: Readonly<Record<Sealing, ReadonlyMap<number, KeyObject>>>
  readonly index: KeyObject
}

const SHORTEST_LEASE_MS = 10_000

/**
 * Loads the data keys of this database, made now where it has none. Throws one line that names ENCRYPTION_KEYS when these
 * do not open them. A value under a key that is not known yet makes it look for the key, and is refused with
 * platform.unavailable until then: a new key is known to every running process before any of them seals with it.
 */
export async function openKeyRing({ db, masterKeys, refreshMs, log }: KeyRingOptions): Promise<LiveKeyRing> {
  const holder = {
    process: `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`,
    masterKeys: masterKeys.map(nameOf),
    leaseMs: Math.max(SHORTEST_LEASE_MS, 4 * refreshMs),
  }
  const stored = await readDataKeys(db)
  if (stored.length === 0) await makeFirstKeys(db, masterKeys)
  let keys = keysOf(stored.length === 0 ? await readDataKeys(db) : stored, masterKeys)
  let started = false
  let running: Promise<void> | undefined
  const wanted = new Set<number>()
  const missing = new Set<number>()

  async function load(): Promise<void> {
    const { knows, sealing } = keys
    const looked = [...wanted]
    const uses = Object.values(sealing).flatMap((key) => takeUses(key))
    const report = { ...holder, knows, sealsWith: sealing.columns.id }
    const rows = await readDataKeys(db, started ? report : undefined, uses).catch((error) => {
      for (const key of Object.values(sealing)) key.times += uses.find(({ id }) => id === key.id)?.times ?? 0
      throw error
    })
    keys = keysOf(rows, masterKeys, keys)
    for (const header of looked) {
      wanted.delete(header)
      if (!keys.opening.columns.has(header) && !keys.opening.receipts.has(header)) missing.add(header)
    }
  }
  const refresh = (): Promise<void> => {
    running ??= load().finally(() => {
      running = undefined
    })
    return running
  }
  const pump = makePump({ name: 'keys', everyMs: refreshMs, run: refresh, log })

  return {
    sealing: (purpose) => {
      const key = keys.sealing[purpose]
      key.times += 1
      return key
    },
    opening: (purpose, header) => {
      const number = numberOf(header)
      const key = keys.opening[purpose].get(number)
      if (key) return key
      if (missing.has(number)) throw new Error(`Sealed with a key that there is none of: ${header.toString('hex')}.`)
      wanted.add(number)
      void refresh().catch((error) => log.error({ err: error }, 'could not look for a data key'))
      throw refuse('platform.unavailable', undefined, { retryAfterSeconds: 1 })
    },
    index: () => keys.index,
    refresh,
    start: async () => {
      if (started) return
      started = true
      await refresh().catch((error) => log.warn({ err: error }, 'could not load the data keys, will try again'))
      pump.start()
    },
    stop: async () => {
      await pump.stop()
      if (started) await forgetHolder(db, holder.process).catch(() => {})
    },
  }
}

function takeUses(key: UsedKey): { id: number; times: number }[] {
  const { id, times } = key
  key.times = 0
  return times > 0 ? [{ id, times }] : []
}

const numberOf = (header: Buffer): number => header.readUIntBE(0, header.length)

const headerOf = ({ id, version1Id }: DataKey): Buffer =>
  version1Id === null ? headerOfKey(id) : headerOfVersion1(version1Id)

/** What the stored keys amount to; keys that were in use before go on being counted. */
function keysOf(stored: readonly DataKey[], masterKeys: readonly MasterKey[], before?: Keys): Keys {
  const open = stored.map((key) => ({ ...key, header: headerOf(key), secret: unwrap(masterKeys, key) }))
  const newest = (purpose: DataKey['purpose']) => {
    const key = open.findLast((one) => one.purpose === purpose && one.seals)
    if (!key) throw new Error(`This database has no data key for ${purpose}.`)
    return key
  }
  const sealing = (purpose: Sealing): UsedKey => {
    const { id, header, secret } = newest(purpose)
    const same = before?.sealing[purpose]
    return same?.id === id ? same : { id, header, secret, times: 0 }
  }
  const opening = (purpose: Sealing) =>
    new Map(open.filter((key) => key.purpose === purpose).map(({ header, secret }) => [numberOf(header), secret]))
  return {
    knows: Math.max(...stored.map(({ id }) => id)),
    sealing: { columns: sealing('columns'), receipts: sealing('receipts') },
    opening: { columns: opening('columns'), receipts: opening('receipts') },
    index: newest('index').secret,
  }
}
