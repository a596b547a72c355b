import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allRoutes } from '#platform/http/routes.ts'
import { namedPlaces } from './kit/failpoints.ts'
import { type TestShop, testShop } from './kit/shop.ts'

const ROOT = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT })
const all = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map((match) => match[1]!))].sort()

let shop: TestShop
beforeAll(async () => {
  shop = await testShop()
})
afterAll(() => shop?.close())

test('every link leads to a file, and to a heading of it', () => {
  const broken = documents.flatMap((path) =>
    all(read(path), /\]\(([^)\s]+)\)/g).filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(path, link)),
  )
  expect(documents.length).toBeGreaterThan(15)
  expect(broken).toEqual([])
})

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', heading] = link.split('#')
  const path = file ? join(ROOT, dirname(from), file) : join(ROOT, from)
  if (!existsSync(path)) return false
  if (!heading) return true
  const headings = all(readFileSync(path, 'utf8'), /^#+ (.+)$/gm)
  return headings.some(
    (each) =>
      each
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-') === heading,
  )
}

test('the runbook has a line for every number of ours in /metrics', async () => {
  const served = all((await shop.send('GET', '/metrics')).text, /^# HELP (stoa_\w+)/gm)
  expect(served.length).toBeGreaterThan(8)
  expect(
    all(read('docs/runbook.md'), /^(\|.*)$/gm)
      .flatMap((row) => all(row, /`(stoa_\w+)/g))
      .sort(),
  ).toEqual(served)
})

test('development.md names every failpoint', () => {
  const section = read('docs/development.md').split('## Failpoints')[1]!.split('\n## ')[0]!
  expect(all(section, /`([a-z]+\.[a-z-]+)`/g)).toEqual([...new Set(namedPlaces())])
})

describe('limits.md', () => {
  const rows = [...read('docs/limits.md').matchAll(/^\| `([a-z-]+)` \| (.+) \| (.+) \| (\d+) \| (\d+) \|$/gm)].map(
    ([, name = '', where = '', per = '', points, seconds]) => ({
      ...{ name, per, where: all(where, /`([A-Z]+ [^`]+)`/g) },
      ...{ points: Number(points), seconds: Number(seconds) },
    }),
  )

  test('has every limit with its numbers', () => {
    const defined = [...shop.app.limits.defined].filter(([name]) => !name.endsWith('-server'))
    expect(new Map(rows.map(({ name, points, seconds }) => [name, { points, seconds }]))).toEqual(
      new Map(defined.map(([name, { points, seconds }]) => [name, { points, seconds }])),
    )
  })

  test('says where each holds, and for whom', () => {
    // Fastify adds a HEAD beside each GET.
    const routes = allRoutes(shop.app.http).filter(({ method }) => method !== 'HEAD')
    const limited = routes.flatMap(({ method, url, config }) =>
      (config?.limits ?? []).map(({ name, per }) => ({
        ...{ name, per },
        route: `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`,
      })),
    )
    for (const { name, per, where } of rows) {
      const its = limited.filter((one) => one.name === name)
      if (its.length > 0) expect([name, per]).toEqual([name, its[0]?.per])
      if (name !== 'reads' && name !== 'writes')
        expect([name, where]).toEqual([name, its.map(({ route }) => route).sort()])
    }
  })
})
