import { sql } from 'kysely'
import type { Source } from '#kernel/file.ts'
import type { ImportId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { ImportStart } from '../application/import-products.ts'
import type { ImportView } from './import-schemas.ts'

const PIECE_BYTES = 1_048_576

/**
 * Keeps an uploaded file in pieces, with the import that waits for it. The same file with the same options, not imported
 * to its end yet, is the import that there is.
 */
export async function keepUpload(work: Work, start: Omit<ImportStart, 'rows'>, bytes: Buffer): Promise<ImportId> {
  const { rows } = await sql<{ id: ImportId }>`
    insert into catalog.imports (id, file_name, sha256, options, status, created_at, updated_at)
    values (${start.id}, ${start.fileName}, ${start.sha256}, ${JSON.stringify(start.options)}::jsonb, 'waiting',
      ${work.now}::timestamptz, ${work.now}::timestamptz)
    on conflict (sha256, options) where status in ('waiting', 'running') do update set updated_at = excluded.updated_at
    returning id`.execute(work.tx)
  const { id } = rows[0]!
  for (let piece = 0; piece * PIECE_BYTES < bytes.length; piece += 1)
    await sql`
      insert into catalog.import_pieces (import_id, piece, bytes)
      values (${id}, ${piece}, ${bytes.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES)})
      on conflict do nothing`.execute(work.tx)
  return id
}

/** An uploaded file, read piece by piece. */
export const uploadedSource = (reader: Reader, id: ImportId, name: string): Source => ({
  name,
  bytes: async function* () {
    for (let piece = 0; ; piece += 1) {
      const { rows } = await sql<{ bytes: Buffer }>`
        select bytes from catalog.import_pieces where import_id = ${id} and piece = ${piece}`.execute(reader)
      if (!rows[0]) return
      yield rows[0].bytes
    }
  },
})

/** One import, how far it is and what came of it. */
export async function readImport(reader: Reader, id: ImportId): Promise<ImportView | undefined> {
  const { rows } = await sql<ImportView>`
    select id, file_name as "fileName", status, options, rows, rows_done as "rowsDone", report, problem,
      created_at as "createdAt", finished_at as "finishedAt"
    from catalog.imports where id = ${id}`.execute(reader)
  return rows[0]
}
