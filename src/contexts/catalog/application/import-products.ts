import { type Damage, DamagedFile, type Source } from '#kernel/file.ts'
import type { ImportId } from '#kernel/ids.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Work } from '#platform/db/work.ts'
import type { ImportOptions } from '../domain/decide-product.ts'
import { addReports, emptyReport, type ImportReport, many } from '../domain/import-report.ts'
import { type Reading, readProduct } from '../domain/shopify-products.ts'
import type { ApplyReadings } from './apply-readings.ts'
import type { FinishImport } from './finish-import.ts'
import { type Inspection, inspectFile, type ReadRows, readByProduct } from './read-products.ts'

export type StartedImport = {
  readonly id: ImportId
  /** The last row that was applied before: 0 for a new import. */
  readonly rowsDone: number
  readonly report: ImportReport
  /** When this very file was last imported to its end with the same options. */
  readonly finishedBefore: Date | null
}

export type ImportNeeds = {
  readonly perform: Perform
  readonly readRows: ReadRows
  readonly hashFile: (source: Source) => Promise<string>
  readonly newImportId: () => ImportId
  /** Makes the import's row, or finds the unfinished one of this file and these options. */
  readonly startImport: (work: Work, start: ImportStart, report: ImportReport) => Promise<StartedImport>
  /** Moves on from one row to another; throws when somebody else did. */
  readonly moveImport: (work: Work, id: ImportId, from: number, to: number, report: ImportReport) => Promise<void>
  /** Notes the damage on the import's row, where it has one. */
  readonly refuseImport: (work: Work, start: ImportStart, damage: Damage) => Promise<void>
  readonly applyReadings: ApplyReadings
  readonly finishImport: FinishImport
}

export type ImportStart = {
  readonly id: ImportId
  readonly fileName: string
  readonly sha256: string
  readonly options: ImportOptions
  readonly rows: number
}

export type ImportRequest = {
  readonly source: Source
  readonly options: ImportOptions
  /** Does everything and undoes it again. */
  readonly dryRun?: boolean
  readonly onProgress?: (rowsDone: number, rows: number) => void
  /** Ends the import between two pieces; run again, it goes on from there. */
  readonly signal?: AbortSignal
}

export type ImportOutcome =
  | { readonly status: 'finished'; readonly import: StartedImport | null; readonly report: ImportReport }
  | { readonly status: 'refused'; readonly problem: Damage }

export type ImportProducts = (command: Command, request: ImportRequest) => Promise<ImportOutcome>

/** A piece is one transaction. */
const PIECE_PRODUCTS = 100
const PIECE_ROWS = 1_000

type Piece = { readonly readings: readonly Reading[]; readonly rows: number }

/**
 * Imports one Shopify product file, piece by piece, each in a transaction of its own. The whole file is read first: a
 * damaged one is refused with its place and nothing of it is applied. Interrupted, it goes on where it stopped when the
 * same file is given again with the same options; run again after its end, it finds everything unchanged.
 */
export const importProducts =
  (needs: ImportNeeds): ImportProducts =>
  async (command, request) => {
    const { source, options, dryRun = false } = request
    const sha256 = await needs.hashFile(source)
    const start = { id: needs.newImportId(), fileName: source.name, sha256, options }
    const inspection = await inspect(needs, source)
    if ('detail' in inspection) {
      if (!dryRun) await needs.perform(command, (work) => needs.refuseImport(work, { ...start, rows: 0 }, inspection))
      return { status: 'refused', problem: inspection }
    }
    const { rows } = inspection
    const run = dryRun ? undoing(needs.perform) : needs.perform
    const blank = { ...emptyReport, sharedSkus: many(inspection.sharedSkus) }
    const started = dryRun ? null : await run(command, (work) => needs.startImport(work, { ...start, rows }, blank))
    let report = started?.report ?? blank
    let rowsDone = started?.rowsDone ?? 0
    for await (const piece of piecesOf(needs.readRows, source, options, rowsDone)) {
      request.signal?.throwIfAborted()
      request.onProgress?.(rowsDone, rows)
      report = await run(command, async (work) => {
        const context = { options, fileName: source.name, importId: started?.id ?? null }
        const after = addReports(report, await needs.applyReadings(work, piece.readings, context))
        if (started) await needs.moveImport(work, started.id, rowsDone, piece.rows, after)
        return after
      })
      rowsDone = piece.rows
    }
    const finish = { ...start, id: started?.id ?? null, handles: inspection.handles }
    report = await run(command, (work) => needs.finishImport(work, finish, report))
    request.onProgress?.(rows, rows)
    return { status: 'finished', import: started, report }
  }

async function inspect(needs: ImportNeeds, source: Source): Promise<Inspection | Damage> {
  try {
    return await inspectFile(needs.readRows, source)
  } catch (error) {
    if (error instanceof DamagedFile) return error.damage
    throw error
  }
}

async function* piecesOf(
  readRows: ReadRows,
  source: Source,
  options: ImportOptions,
  rowsDone: number,
): AsyncGenerator<Piece> {
  let readings: Reading[] = []
  let begin = rowsDone
  let rows = rowsDone
  for await (const product of readByProduct(readRows, source)) {
    const last = product.rows.at(-1)?.number ?? 0
    if (last <= rowsDone) continue
    readings.push(readProduct(product.columns, product.rows, options))
    rows = last
    if (readings.length < PIECE_PRODUCTS && rows - begin < PIECE_ROWS) continue
    yield { readings, rows }
    readings = []
    begin = rows
  }
  if (readings.length > 0) yield { readings, rows }
}

class Undone<T> extends Error {
  readonly result: T
  constructor(result: T) {
    super('A dry run is undone.')
    this.result = result
  }
}

/** Performs, keeps the result and undoes the rest. */
const undoing =
  (perform: Perform) =>
  async <T>(command: Command, run: (work: Work) => Promise<T>): Promise<T> => {
    try {
      return await perform(command, async (work): Promise<T> => {
        throw new Undone(await run(work))
      })
    } catch (error) {
      if (error instanceof Undone) return error.result as T
      throw error
    }
  }
