import { sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import { headerOfKey, headerOfVersion1, type Purpose } from './encryption.ts'
import { countUnder } from './reseal.ts'
import { readRegistry } from './sealed-columns.ts'

/** A data key that seals no more and is still there. */
export type KeptKey = {
  readonly id: number
  readonly purpose: Purpose
  /** Values that it still opens. */
  readonly values: number
  /** Whoever had it in memory may write a last value until then. */
  readonly until: Date
}

type Retired = Omit<KeptKey, 'values'> & { readonly version1Id: number | null; readonly isOver: boolean }

/** A process that stood still in the middle of a request writes what it sealed when it wakes: this is the most we expect. */
const KEPT_HOURS = 24

/** Retires the keys for columns and receipts that a newer one has replaced. */
export const retireBefore = (db: Reader, columnsKeyId: number): Promise<unknown> =>
  sql`update platform.data_keys set retired_at = now()
    where purpose <> 'index' and id < ${columnsKeyId} - 1 and retired_at is null`.execute(db)

/** Deletes the keys that retired a day ago and that no value is sealed with; tells what is left, and why. */
export async function deleteUnusedKeys(db: Reader): Promise<{ deleted: number[]; kept: KeptKey[] }> {
  const { rows } = await sql<Retired>`
    select id, purpose, version_1_id as "version1Id", retired_at + make_interval(hours => ${KEPT_HOURS}) as until,
      retired_at + make_interval(hours => ${KEPT_HOURS}) <= now() as "isOver"
    from platform.data_keys where retired_at is not null order by id`.execute(db)
  const { sealed, callers } = await readRegistry(db)
  const columns = sealed.flatMap(({ columns, ...table }) => columns.map(({ column }) => ({ ...table, column })))
  const deleted: number[] = []
  const kept: KeptKey[] = []
  for (const { version1Id, isOver, ...key } of rows) {
    const header = version1Id === null ? headerOfKey(key.id) : headerOfVersion1(version1Id)
    let values = 0
    for (const column of key.purpose === 'columns' ? columns : callers) values += await countUnder(db, column, header)
    if (values > 0 || !isOver) {
      kept.push({ ...key, values })
      continue
    }
    await sql`delete from platform.data_keys where id = ${key.id} and retired_at is not null`.execute(db)
    deleted.push(key.id)
  }
  return { deleted, kept }
}
