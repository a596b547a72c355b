import pc from 'picocolors'
import { changedNothing, type ImportOutcome, type ImportReport } from '#contexts/catalog/index.ts'

const SHOWN = 8

/** What an import did, for people: counts in columns, then what they should look at, with row numbers. */
export function describeImport(file: string, outcome: ImportOutcome, dryRun: boolean): string {
  if (outcome.status === 'refused') {
    const { row, column, detail } = outcome.problem
    const place = column === undefined ? `row ${row}` : `row ${row}, column ${column}`
    return `${pc.red('✗')} ${pc.bold(file)}: refused, nothing of it was imported\n  ${place}: ${detail}`
  }
  const { report } = outcome
  return [headline(file, outcome, dryRun), ...table(report), ...remarks(report)].join('\n')
}

function headline(file: string, outcome: Extract<ImportOutcome, { status: 'finished' }>, dryRun: boolean): string {
  const before = outcome.import?.finishedBefore
  const told = [
    ...(dryRun ? ['a dry run, nothing was saved'] : []),
    ...(outcome.import?.rowsDone ? [`went on after row ${outcome.import.rowsDone}`] : []),
    ...(before ? [`imported before, on ${before.toISOString().slice(0, 16).replace('T', ' ')}`] : []),
    ...(changedNothing(outcome.report) ? ['nothing to change'] : []),
  ]
  return `${pc.green('✓')} ${pc.bold(file)}${told.length > 0 ? `: ${told.join('; ')}` : ''}`
}

function table({ products, variants, images, stock, missing }: ImportReport): string[] {
  const lines: [string, ...[number, string][]][] = [
    [
      'products',
      [products.created.count, 'created'],
      [products.updated.count, 'updated'],
      [products.unchanged.count, 'unchanged'],
      [products.skipped.count, 'skipped'],
    ],
    ['variants', [variants.created, 'created'], [variants.existing, 'there already'], [variants.skipped, 'skipped']],
    ['images', [images, 'in the file']],
    ['stock', [stock.opened, 'opened'], [stock.changed, 'changed']],
    [
      'missing',
      [missing.products.count, 'products'],
      [missing.variants.count, 'variants'],
      [missing.archived, 'archived'],
    ],
  ]
  return lines.map(([name, ...cells]) => {
    const texts = cells.map(([count, what]) => `${shade(count, what)(String(count).padStart(7))} ${what.padEnd(13)}`)
    return `  ${name.padEnd(9)}${texts.join('')}`.trimEnd()
  })
}

const shade = (count: number, what: string) =>
  count === 0 ? pc.dim : what === 'skipped' ? pc.yellow : what === 'created' ? pc.green : pc.bold

function remarks(report: ImportReport): string[] {
  const { skipped, warnings, withoutSku, sharedSkus, missing, otherFile, droppedHtml } = report
  const dropped = Object.entries(droppedHtml).map(([name, { products }]) => `${name} ${products}`)
  return [
    ...section('skipped', skipped.count, skipped.first.map(describeNote)),
    ...section('warnings', warnings.count, warnings.first.map(describeNote)),
    ...section(
      'SKUs on several variants',
      sharedSkus.count,
      sharedSkus.first.map(({ sku, rows }) => `${sku}: rows ${rows.join(', ')}`),
    ),
    ...section(
      'variants without a SKU',
      withoutSku.count,
      withoutSku.count > 0 ? [`rows ${listed(withoutSku.first)}`] : [],
    ),
    ...section('products that the file no longer has', missing.products.count, missing.products.first),
    ...section(
      'variants that the file no longer has',
      missing.variants.count,
      missing.variants.first.map(({ handle, title }) => `${handle}: ${title ?? 'without options'}`),
    ),
    ...section(
      'products last imported from another file',
      otherFile.count,
      otherFile.first.map(({ handle, fileName }) => `${handle}: ${fileName}`),
    ),
    ...section(
      'HTML that is kept but not served, with the products it is in',
      dropped.length,
      dropped.length > 0 ? [dropped.join(', ')] : [],
    ),
  ]
}

function section(title: string, count: number, lines: readonly string[]): string[] {
  if (count === 0) return []
  const more = lines.length > SHOWN ? [pc.dim(`    … and ${count - SHOWN} more: --json lists them`)] : []
  return [`  ${pc.yellow(`${title} (${count})`)}`, ...lines.slice(0, SHOWN).map((line) => `    ${line}`), ...more]
}

const describeNote = ({ row, column, handle, detail }: ImportReport['skipped']['first'][number]): string =>
  `row ${row}${column ? `, ${column}` : ''}${handle ? ` (${handle})` : ''}: ${detail}`

const listed = (rows: readonly number[]): string =>
  rows.length > 2 * SHOWN ? `${rows.slice(0, 2 * SHOWN).join(', ')} …` : rows.join(', ')
