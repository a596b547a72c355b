import type pg from 'pg'
import { MIGRATIONS_LOCK } from '#platform/db/migrate.ts'
import { copyOut, type Digest, type Head, nameOf, openCopier, readHead } from './contents.ts'
import { copyLine, END_OF_ROWS, headLine, sequenceLine, tailLine } from './script.ts'

export type Saving = {
  /** What is in it, known before the first row is read. */
  readonly head: Head
  readonly parts: AsyncGenerator<Buffer>
  /** What each table came to, once all parts were read. */
  digests(): readonly Digest[]
  close(): Promise<void>
}

/**
 * Everything that a shop's database keeps, as of one moment, while it goes on working: one REPEATABLE READ snapshot, in which
 * no table can be changed in its shape. `onProgress` is told how many bytes of the tables are done, about.
 */
export async function saveDatabase(
  ownerUrl: string,
  onProgress: (done: number, total: number) => void,
): Promise<Saving> {
  const client = await openCopier(ownerUrl)
  try {
    const head = await beginSnapshot(client)
    const sizes = await readSizes(client, head)
    const digests: Digest[] = []
    return {
      head,
      parts: write(client, head, sizes, digests, onProgress),
      digests: () => digests,
      close: () => client.end(),
    }
  } catch (error) {
    await client.end()
    throw error
  }
}

/** Waits for a migration that is under way; one that comes later waits for the tables' locks. */
async function beginSnapshot(client: pg.Client): Promise<Head> {
  await client.query(`select pg_advisory_lock_shared(${MIGRATIONS_LOCK})`)
  await client.query('begin isolation level repeatable read read only')
  const head = await readHead(client)
  await client.query(`lock table ${head.tables.map(nameOf).join(', ')} in access share mode`)
  await client.query(`select pg_advisory_unlock_shared(${MIGRATIONS_LOCK})`)
  return head
}

async function readSizes(client: pg.Client, { tables }: Head): Promise<number[]> {
  const { rows } = await client.query<{ bytes: string }>(
    'select pg_table_size(name::regclass) as bytes from unnest($1::text[]) with ordinality as t (name, place) order by place',
    [tables.map(nameOf)],
  )
  return rows.map(({ bytes }) => Number(bytes))
}

async function* write(
  client: pg.Client,
  head: Head,
  sizes: readonly number[],
  digests: Digest[],
  onProgress: (done: number, total: number) => void,
): AsyncGenerator<Buffer> {
  const total = sizes.reduce((sum, size) => sum + size, 0)
  let before = 0
  yield Buffer.from(headLine(head))
  for (const [at, table] of head.tables.entries()) {
    const size = sizes[at] as number
    yield Buffer.from(copyLine(table))
    const rows = copyOut(client, table)
    let bytes = 0
    for (let next = await rows.next(); ; next = await rows.next()) {
      if (next.done) {
        digests.push(next.value)
        break
      }
      bytes += next.value.length
      onProgress(before + Math.min(bytes, size), total)
      yield next.value
    }
    before += size
    onProgress(before, total)
    yield Buffer.from(END_OF_ROWS)
  }
  for (const sequence of head.sequences) yield Buffer.from(sequenceLine(sequence))
  yield Buffer.from(tailLine(digests))
}
