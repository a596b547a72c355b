import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { csv, importing } from './importing.ts'

const CLI = join(import.meta.dirname, '../../../src/cli.ts')
const PRODUCTS = 4_000

test('killed with SIGKILL in the middle, the same command goes on and imports each product once', {
  timeout: 120_000,
}, async () => {
  const shop = await importing()
  const folder = mkdtempSync(join(tmpdir(), 'stoa-import-'))
  const file = join(folder, 'many.csv')
  const env = {
    ...process.env,
    DATABASE_URL: shop.url,
    DATABASE_OWNER_URL: shop.ownerUrl,
    STOA_DATA_DIR: folder,
    SANDBOX_URL: 'http://127.0.0.1:9',
  }
  try {
    const rows = Array.from({ length: PRODUCTS }, (_, index) => ({
      Handle: `p-${index}`,
      Title: `Product ${index}`,
      'Variant Price': '1.00',
    }))
    writeFileSync(file, csv(...rows))
    const first = spawn(process.execPath, [CLI, 'import', file], { env, stdio: 'ignore' })
    const gone = new Promise((resolve) => first.once('exit', resolve))
    const rowsDone = async () =>
      (await shop.rows(sql<{ rows_done: number }>`select rows_done from catalog.imports`))[0]?.rows_done ?? 0
    while ((await rowsDone()) === 0 && first.exitCode === null) await pause(5)
    first.kill('SIGKILL')
    await gone
    const done = await rowsDone()
    expect(done).toBeGreaterThan(0)
    expect(done).toBeLessThan(PRODUCTS + 1)

    const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'import', file, '--json'], { env })
    const [outcome] = JSON.parse(stdout).files
    expect(outcome).toMatchObject({
      status: 'finished',
      import: { rowsDone: done },
      report: { products: { created: { count: PRODUCTS } } },
    })
    const [counts] = await shop.rows(sql`
      select (select count(*)::int from catalog.products) as products, (select count(*)::int from catalog.variants) as variants,
        (select count(*)::int from catalog.movements) as movements`)
    expect(counts).toEqual({ products: PRODUCTS, variants: PRODUCTS, movements: PRODUCTS })
  } finally {
    await shop.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
