/**
 * `make mutants`: plants every bug that is kept as a patch beside a test, one after the other in a copy of this checkout, and
 * wants that test to fail. `--only P2` or a part of a file's name, `--json`, `--publish` (what was not planted now stays as it
 * was published). Exits 1 when a bug was not found.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { table } from '../src/cli/table.ts'
import { inOrder, type Mutant, nameOf, type Planted, publishMutants, ROOT, readPatches, rowsIn } from './proof.ts'

const LIMIT_MS = 240_000
const NOT_COPIED = new Set(['node_modules', '.git', '.stoa', 'coverage'])

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    publish: { type: 'boolean', default: false },
  },
})

/** The same place for the same checkout: what belongs to a place, such as its copy of PostgreSQL, is made once. */
const copy = join(tmpdir(), `stoa-mutants-${createHash('sha256').update(ROOT).digest('hex').slice(0, 12)}`)

function copyCheckout(): void {
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy)
  cpSync(ROOT, copy, { recursive: true, filter: (path) => !NOT_COPIED.has(basename(path)) })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
}

/** Plants the bug, runs its test, and digs it out again; how many violations the test told of, null when it passed. */
function plant({ promise, patch, test, name, full }: Planted): number | null {
  const apply = (...how: string[]) => execFileSync('git', ['apply', ...how, join(ROOT, patch)], { cwd: copy })
  const [noted, report] = [join(copy, 'verdicts'), join(copy, 'report.json')]
  for (const file of [noted, report]) rmSync(file, { force: true })
  apply()
  try {
    const { CHAOS, ...env } = process.env
    const options = name ? ['-t', name] : []
    const reporting = ['--reporter=json', `--outputFile=${report}`]
    const { error } = spawnSync('vitest', ['run', test, ...options, ...reporting], {
      cwd: copy,
      env: { ...env, VERDICTS: noted, ...(full ? { CHAOS: 'full' } : {}) },
      timeout: LIMIT_MS,
      stdio: 'ignore',
    })
    if (error) throw new Error(`${patch}: ${error.message}`)
    const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(report, 'utf8'))
    if (numFailedTests + numPassedTests === 0) throw new Error(`${patch}: no test of ${test} ran`)
    if (numFailedTests === 0) return null
    const own = rowsIn(noted).filter((row) => row.promise === promise)
    return own.reduce((sum, { violations }) => sum + violations, 0) || numFailedTests
  } finally {
    apply('-R')
  }
}

copyCheckout()
const planted = inOrder(
  readPatches().filter(({ promise, patch }) => promise === values.only || patch.includes(values.only)),
)
const mutants: Mutant[] = []
for (const [index, one] of planted.entries()) {
  const from = performance.now()
  const found = plant(one)
  mutants.push({ promise: one.promise, patch: one.patch, found })
  const seconds = ((performance.now() - from) / 1_000).toFixed(0)
  const result = found === null ? pc.red('NOT FOUND') : pc.green(`found, ${found} violations`)
  console.error(
    pc.dim(`${index + 1}/${planted.length}`),
    one.promise,
    nameOf(one.patch),
    result,
    pc.dim(`${seconds} s`),
  )
}
rmSync(copy, { recursive: true, force: true })
if (values.json) console.log(JSON.stringify(mutants, null, 2))
else
  console.log(
    table([
      ['', 'planted bug', 'violations found'].map((text) => pc.bold(text)),
      ...mutants.map(({ promise, patch, found }) => [promise, nameOf(patch), found ?? pc.red('none')]),
    ]),
  )
if (mutants.some(({ found }) => found === null)) process.exitCode = 1
else if (values.publish) publishMutants(mutants)
