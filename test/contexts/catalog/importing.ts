import { sql } from 'kysely'
import type { ImportOutcome, ImportRequest } from '#contexts/catalog/application/import-products.ts'
import type { ImportOptions } from '#contexts/catalog/domain/decide-product.ts'
import type { ImportReport } from '#contexts/catalog/domain/import-report.ts'
import { makeImports } from '#contexts/catalog/infrastructure/imports.ts'
import { systemActor } from '#platform/db/system.ts'
import { testPlatform } from '../../kit/platform.ts'

const OPTIONS: ImportOptions = {
  currency: 'USD',
  publish: false,
  existing: 'update',
  archiveMissing: false,
  stock: false,
}

/** A catalogue on a database of its own, and `take`, which imports a text as a file. */
export async function importing() {
  const platform = await testPlatform()
  const run = makeImports(platform.perform)
  const take = (text: string | Buffer, options: Partial<ImportOptions> = {}, rest: Partial<ImportRequest> = {}) => {
    const bytes = async function* () {
      const all = Buffer.from(text as string)
      for (let at = 0; at < all.length; at += 65_536) yield all.subarray(at, at + 65_536)
    }
    const source = { name: 'shop.csv', bytes }
    return run(
      { actor: systemActor, requestId: 'test-import' },
      { source, options: { ...OPTIONS, ...options }, ...rest },
    )
  }
  return {
    ...platform,
    run,
    take,
    /** Imports a text that is sound, and answers the report. */
    report: async (...given: Parameters<typeof take>): Promise<ImportReport> => reportOf(await take(...given)),
    rows: async <Row>(query: ReturnType<typeof sql<Row>>) => (await query.execute(platform.db)).rows,
    /** Everything that an import writes of the catalogue, in one value to compare. */
    everything: async () => {
      const { rows } = await sql`
        select (select jsonb_agg(p order by p.id) from catalog.products p) as products,
          (select jsonb_agg(v order by v.id) from catalog.variants v) as variants,
          (select jsonb_agg(i order by i.id) from catalog.images i) as images,
          (select jsonb_agg(c order by c.variant_id) from catalog.prices c) as prices,
          (select jsonb_agg(s order by s.variant_id) from catalog.stock s) as stock,
          (select jsonb_agg(m order by m.id) from catalog.movements m) as movements`.execute(platform.db)
      return rows[0]
    },
  }
}

export function reportOf(outcome: ImportOutcome): ImportReport {
  if (outcome.status !== 'finished') throw new Error(JSON.stringify(outcome.problem))
  return outcome.report
}

/** A file from rows by column name: the header is every name there is. */
export function csv(...rows: Record<string, string>[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cell = (text: string) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  return [names, ...rows.map((row) => names.map((name) => row[name] ?? ''))]
    .map((cells) => `${cells.map(cell).join(',')}\n`)
    .join('')
}
