import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isShown, PROMISES, readProof } from '../scripts/proof.ts'

/** The planted bugs that `make mutants` wants found, and the table that the pages show. */
const ROOT = resolve(import.meta.dirname, '..')
const patches = globSync('test/**/*.patch', { cwd: ROOT })
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

describe.each(patches)('%s', (patch) => {
  test('says which bug it is and which promise it breaks, and lies beside the test that finds it', () => {
    const [head = ''] = read(patch).split(/^diff /m)
    expect(Object.keys(PROMISES)).toContain(/^Promise: (P\d+)$/m.exec(head)?.[1])
    expect(head.split('\nPromise:')[0]?.trim()).toMatch(/\w.*\.$/s)
    expect(existsSync(join(ROOT, dirname(patch), `${basename(patch).split('.')[0]}.test.ts`))).toBe(true)
  })

  test('applies', () => {
    execFileSync('git', ['apply', '--check', patch], { cwd: ROOT, stdio: 'pipe' })
  })
})

test('the pages show what was published last', () => {
  expect(isShown(readProof())).toBe(true)
})
