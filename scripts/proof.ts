import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** What Stoa promises, as the published table says it. */
export const PROMISES: Readonly<Record<string, string>> = {
  P1: 'an acknowledged order survives kill -9 of service and database',
  P2: 'N buyers of the last k units buy exactly k',
  P3: 'a hold expires and comes back; a late payment never oversells',
  P4: 'one Idempotency-Key charges once, in every schedule',
  P5: 'webhooks duplicated, reordered, late or missing converge',
  P6: 'only genuine, matching events move money',
  P7: 'paid but not to be fulfilled is never silent',
  P8: 'money is conserved',
  P9: 'events are delivered at least once and act once',
  P10: 'the relay skips no event',
  P11: 'a poisoned event is parked, the rest flows, replay works',
  P12: 'a cache that is down makes the shop slower, not wrong',
  P13: 'rate limits are exact across processes and fail safely',
  P14: 'a slow or dead provider cannot take the shop down',
  P15: 'a restart or stall of the database heals by itself',
  P16: 'reuse of a refresh token ends its session; honest races do not',
  P17: 'nobody reaches what is not theirs',
  P18: 'bad input is 4xx, never 5xx, never a hang',
  P19: 'a rolling restart drops nothing',
  P20: 'migrations are safe under load',
  P21: 'limits of discounts and gift cards are exact, for each customer too',
  P22: 'carts lose no update; a login never empties a cart',
  P23: 'a flood of logins does not stop checkout',
  P24: 'personal data is unreadable at rest, and keys rotate live',
  P25: 'erasure and export are complete',
  P26: 'a backup restores',
  P27: 'any seed of mixed faults keeps all oracles',
  P28: 'overload sheds, and does not collapse',
}

/** How a promise was kept when it was tried: what a test noted by `verdict`. */
export type Row = {
  readonly promise: string
  readonly tried: string
  readonly n: number
  readonly violations: number
  readonly p99Ms?: number
  readonly seed?: number
}

/** A planted bug, and how many violations the promise's test found of it; null when it found none. */
export type Mutant = { readonly promise: string; readonly patch: string; readonly found: number | null }

/** What was published last: the rows of `make chaos`, the planted bugs of `make mutants`. */
export type Proof = { readonly date: string; readonly rows: readonly Row[]; readonly mutants: readonly Mutant[] }

export const ROOT = join(import.meta.dirname, '..')
const PROOF = join(ROOT, 'docs/proof.json')
const PAGES: readonly (readonly [file: string, render: (proof: Proof) => string])[] = [
  ['README.md', summary],
  ['docs/proof.md', details],
]
const BLOCK = /(<!-- proof -->\n)[\s\S]*(\n<!-- \/proof -->)/

/** What tests noted in a file by `verdict`. */
export function rowsIn(file: string): Row[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
  return lines.map((line) => JSON.parse(line))
}

export const readProof = (): Proof => JSON.parse(readFileSync(PROOF, 'utf8'))

/** Puts what came of `make chaos` in the place of what was published before, of all promises or of the one that was tried. */
export function publishRows(rows: readonly Row[], promise?: string): void {
  const others = promise ? readProof().rows.filter((row) => row.promise !== promise) : []
  const own = promise ? rows.filter((row) => row.promise === promise) : rows
  publish({ ...readProof(), date: new Date().toISOString().slice(0, 10), rows: inOrder([...others, ...own]) })
}

/** Adds what came of planted bugs, in the place of what was published of the same; bugs that are no longer kept go. */
export function publishMutants(mutants: readonly Mutant[]): void {
  const now = new Map([...readProof().mutants, ...mutants].map((one) => [one.patch, one]))
  publish({ ...readProof(), mutants: readPatches().flatMap(({ patch }) => now.get(patch) ?? []) })
}

/** Writes it down, and into the tables of README.md and docs/proof.md. */
function publish(proof: Proof): void {
  writeFileSync(PROOF, `${JSON.stringify(proof, null, 2)}\n`)
  for (const [file, render] of PAGES) {
    const path = join(ROOT, file)
    writeFileSync(path, withTable(readFileSync(path, 'utf8'), render(proof)))
  }
}

/** Whether the pages show what was published last. */
export const isShown = (proof: Proof): boolean =>
  PAGES.every(([file, render]) => {
    const text = readFileSync(join(ROOT, file), 'utf8')
    return text === withTable(text, render(proof))
  })

function withTable(text: string, table: string): string {
  if (!BLOCK.test(text)) throw new Error('The page has no place for the table: <!-- proof --> and <!-- /proof -->.')
  return text.replace(BLOCK, (_, before, after) => `${before}\n${table}\n${after}`)
}

/** By the number of the promise. */
export const inOrder = <One extends { readonly promise: string }>(all: readonly One[]): One[] =>
  all.toSorted((a, b) => Number(a.promise.slice(1)) - Number(b.promise.slice(1)))

/** A bug that is kept as a patch, as its first lines describe it: the test beside it finds it. */
export type Planted = {
  readonly patch: string
  readonly bug: string
  readonly promise: string
  readonly test: string
  /** Of the one test that is enough, if there is one. */
  readonly name: string | undefined
  /** Whether only the full form of the test, with the figures of `make chaos`, finds it. */
  readonly full: boolean
}

/**
 * Every kept bug. Throws for one without a line `Promise: P2`; `Test: -t 'name'` is for those that one test finds, `Form: full`
 * for those that only the full form of a test finds.
 */
export const readPatches = (): Planted[] =>
  globSync('test/**/*.patch', { cwd: ROOT }).map((patch) => {
    const [head = ''] = readFileSync(join(ROOT, patch), 'utf8').split(/^diff /m)
    const promise = /^Promise: (P\d+)$/m.exec(head)?.[1]
    if (!promise) throw new Error(`${patch} does not say which promise it breaks: a line "Promise: P2"`)
    const bug = (head.split('\nPromise:')[0] ?? '').trim()
    const test = join(dirname(patch), `${basename(patch).split('.')[0]}.test.ts`)
    const [name, full] = [/^Test: -t '(.+)'$/m.exec(head)?.[1], /^Form: full$/m.test(head)]
    return { patch, bug, promise, test, name, full }
  })

const figures = (n: number): string => n.toLocaleString('en')
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
const markdown = (rows: readonly (readonly string[])[]): string =>
  rows.map((row) => `| ${row.join(' | ')} |`).join('\n')

/** The promises without a row. */
function untried(rows: readonly Row[]): string[] {
  const tried = new Set(rows.map(({ promise }) => promise))
  const left = Object.entries(PROMISES).filter(([promise]) => !tried.has(promise))
  return left.length > 0 ? [`Not tried yet: ${left.map((one) => one.join(', ')).join('; ')}.`] : []
}

/** One line for each promise; a kept bug that was not planted yet counts as not found. */
function summary({ rows, mutants }: Proof): string {
  const planted = readPatches()
  const found = new Set(mutants.filter((mutant) => mutant.found !== null).map(({ patch }) => patch))
  const lines = Object.entries(PROMISES).flatMap(([promise, says]) => {
    const own = rows.filter((row) => row.promise === promise)
    const bugs = planted.filter((bug) => bug.promise === promise)
    if (own.length === 0) return []
    const times = own.flatMap(({ p99Ms }) => (p99Ms === undefined ? [] : [p99Ms]))
    return [
      [
        ...[promise, says, figures(sum(own.map(({ n }) => n))), figures(sum(own.map(({ violations }) => violations)))],
        times.length > 0 ? `${figures(Math.round(Math.max(...times)))} ms` : '',
        bugs.length > 0 ? `${bugs.filter(({ patch }) => found.has(patch)).length} of ${bugs.length}` : '',
      ],
    ]
  })
  const head = ['', 'promise', 'tried', 'violations', 'p99', 'planted bugs found']
  const shown = markdown([head, ['---', '---', '---:', '---:', '---:', '---:'], ...lines])
  return [shown, ...untried(rows)].join('\n\n')
}

/** All that was tried, and every planted bug. */
function details({ rows, mutants }: Proof): string {
  const tried = inOrder(rows).map(({ promise, tried, n, violations, p99Ms, seed }) => [
    ...[promise, tried, figures(n), figures(violations)],
    ...[p99Ms === undefined ? '' : `${figures(Math.round(p99Ms))} ms`, seed === undefined ? '' : String(seed)],
  ])
  const planted = inOrder(mutants).map(({ promise, patch, found }) => [
    ...[promise, `[${nameOf(patch)}](../${patch})`],
    found === null ? 'not found' : figures(found),
  ])
  return [
    markdown([
      ['', 'what was tried', 'n', 'violations', 'p99', 'seed'],
      ['---', '---', '---:', '---:', '---:', '---:'],
      ...tried,
    ]),
    ...untried(rows),
    markdown([['', 'planted bug', 'violations found'], ['---', '---', '---:'], ...planted]),
  ].join('\n\n')
}

/** `test/chaos/last-units.no-guard.patch` → `last-units: no guard`. */
export function nameOf(patch: string): string {
  const [test = '', bug = ''] = (patch.split('/').at(-1) ?? '').replace(/\.patch$/, '').split('.')
  return `${test}: ${bug.replaceAll('-', ' ')}`
}
