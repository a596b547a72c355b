/**
 * `make chaos`: every promise that has a test, tried with the figures of the published table, from fresh seeds. `--seed 7` runs
 * a seed again, `--only P2` or `--only last-units` some of it, `--json` prints JSON, `--publish` puts what came of it into README
 * and docs (all of it, or of the one promise of `--only`).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, globSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { table } from '../src/cli/table.ts'
import { inOrder, PROMISES, publishRows, rowsIn } from './proof.ts'

const LOOK_EVERY_MS = 500

const {
  values: { only, ...values },
} = parseArgs({
  options: {
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    publish: { type: 'boolean', default: false },
  },
})
if (values.publish && only && !(only in PROMISES))
  throw new Error('--publish goes with all of it, or with --only and one promise')
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const folder = mkdtempSync(join(tmpdir(), 'stoa-chaos-'))
const [noted, log] = [join(folder, 'verdicts'), join(folder, 'chaos.log')]
const files = globSync('test/**/*.test.ts').filter((file) => {
  const text = readFileSync(file, 'utf8')
  return /^import .*\bverdict\b/m.test(text) && (file.includes(only) || text.includes(`promise: '${only}'`))
})

const mark = (violations: number) => (violations === 0 ? pc.green('kept') : pc.red('BROKEN'))
const ms = (value: number | undefined) => (value === undefined ? '' : `${Math.round(value)} ms`)

/** Runs the files; tells of each verdict as it is noted; resolves with whether all tests passed. */
async function run(): Promise<boolean> {
  const env = { ...process.env, CHAOS: 'full', CHAOS_SEED: String(seed), VERDICTS: noted, NO_COLOR: '1' }
  const child = spawn('vitest', ['run', ...files], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const out = createWriteStream(log)
  for (const stream of [child.stdout, child.stderr]) stream.pipe(out, { end: false })
  let told = 0
  const tell = () => {
    for (const { promise, tried, n, violations } of rowsIn(noted).slice(told)) {
      told += 1
      const minutes = (process.uptime() / 60).toFixed(1).padStart(5)
      if (!values.json) console.error(`${pc.dim(`${minutes} min`)}  ${mark(violations)}  ${promise}  ${n} ${tried}`)
    }
  }
  const watch = setInterval(tell, LOOK_EVERY_MS)
  const [code] = (await once(child, 'close')) as [number | null]
  clearInterval(watch)
  tell()
  return code === 0
}

console.error(
  `seed ${seed}, ${files.length} files; again: make chaos ARGS="--seed ${seed}"; what the tests print: ${log}`,
)
const passed = await run()
const found = rowsIn(noted)
if (values.json) console.log(JSON.stringify({ seed, passed, rows: found }, null, 2))
else
  console.log(
    table([
      ['', 'tried', 'n', 'violations', 'p99', 'seed', ''].map((text) => pc.bold(text)),
      ...inOrder(found).map((row) => [
        row.promise,
        row.tried,
        row.n,
        row.violations,
        ms(row.p99Ms),
        row.seed ?? '',
        mark(row.violations),
      ]),
    ]),
  )
if (!passed) {
  const failures = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes(' FAIL '))
  console.error(pc.red(`failed, seed ${seed}:\n${[...new Set(failures)].join('\n')}\nall of it: ${log}`))
  process.exitCode = 1
} else if (values.publish) publishRows(found, only || undefined)
