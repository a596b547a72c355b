import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { cruise, type ICruiseResult } from 'dependency-cruiser'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildsSql, LONGER, NAMES_IN_SQL, refusalsOf, type Source, sourceRules } from './kit/source-rules.ts'

const ROOT = resolve(import.meta.dirname, '..')
const rules = createRequire(import.meta.url)(join(ROOT, '.dependency-cruiser.cjs')) as {
  forbidden: { name: string }[]
  options: object
}

const sources: readonly Source[] = globSync('src/**/*.ts', { cwd: ROOT })
  .filter((path) => !path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))

/** Runs every import rule on the `src/` of a folder: what it read, and `rule: from → to` for each violation. */
async function importsIn(folder: string) {
  const { forbidden, options } = rules
  const answer = await cruise(['src'], {
    ...options,
    ...{ baseDir: folder, tsConfig: { fileName: join(folder, 'tsconfig.json') } },
    ruleSet: { forbidden: forbidden as never },
    validate: true,
  })
  const { modules, summary } = answer.output as ICruiseResult
  return {
    read: modules.filter(({ source }) => source.startsWith('src/')).length,
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`),
  }
}

/** For each import rule, a file that breaks it and what that file says. */
const PLANTED: Readonly<Record<string, readonly [path: string, text: string]>> = {
  'kernel-knows-nothing': ['src/kernel/planted.ts', `export { ids } from '#platform/ids.ts'`],
  'domain-is-pure': ['src/contexts/orders/domain/planted.ts', `export { randomUUID } from 'node:crypto'`],
  'domain-tests-stay-pure': ['src/contexts/orders/domain/planted.test.ts', `import '#platform/ids.ts'`],
  'application-runs-only-domain': [
    'src/contexts/orders/application/planted.ts',
    `export { ids } from '#platform/ids.ts'`,
  ],
  'application-knows-no-infrastructure': [
    'src/contexts/orders/application/planted.ts',
    `import type { store } from '../infrastructure/store.ts'\nexport type Store = typeof store`,
  ],
  'contexts-meet-at-index': [
    'src/contexts/orders/infrastructure/planted.ts',
    `export { holdStock } from '#contexts/catalog/domain/stock.ts'`,
  ],
  'index-is-a-door': ['src/contexts/orders/infrastructure/planted.ts', `export { orders } from '../index.ts'`],
  'contexts-know-no-process': ['src/contexts/orders/infrastructure/planted.ts', `export { app } from '#src/app.ts'`],
  'only-types-of-the-configuration': [
    'src/contexts/orders/infrastructure/planted.ts',
    `export { config } from '#src/config.ts'`,
  ],
  'outside-enters-by-index': ['src/planted.ts', `export { store } from '#contexts/orders/infrastructure/store.ts'`],
  'platform-knows-no-business': ['src/platform/planted.ts', `export { orders } from '#contexts/orders/index.ts'`],
  'sandbox-is-a-stranger': ['src/sandbox/planted.ts', `export { money } from '#kernel/money.ts'`],
  'sandbox-is-only-started': [
    'src/contexts/orders/infrastructure/planted.ts',
    `export { server } from '#src/sandbox/server.ts'`,
  ],
  'audit-is-a-witness': ['src/audit/planted.ts', `export { orders } from '#contexts/orders/index.ts'`],
  'nobody-judged-calls-the-audit': ['src/platform/planted.ts', `export { oracles } from '#src/audit/oracles.ts'`],
  'only-clients-open-sockets': ['src/contexts/orders/infrastructure/planted.ts', `export { request } from 'node:http'`],
  'no-circular': ['src/kernel/planted.ts', `export { money } from './money.ts'\nexport const planted = 1`],
  'everything-resolves': ['src/planted.ts', `export { nothing } from './nothing.ts'`],
  'no-development-dependency-in-production': ['src/planted.ts', `export { test } from 'vitest'`],
}

/** A small project in the shape of Stoa, legal as it stands. */
const LEGAL: Readonly<Record<string, string>> = {
  'src/kernel/money.ts': `export const money = 1`,
  'src/platform/ids.ts': `export { money as ids } from '#kernel/money.ts'`,
  'src/config.ts': `export const config = 1\nexport type Config = number`,
  'src/contexts/catalog/domain/stock.ts': `export const holdStock = 1`,
  'src/contexts/catalog/index.ts': `export { holdStock } from './domain/stock.ts'`,
  'src/contexts/orders/domain/order.ts': `export { money as order } from '#kernel/money.ts'`,
  'src/contexts/orders/application/place-order.ts': `import type { ids } from '#platform/ids.ts'\nimport type { holdStock } from '#contexts/catalog/index.ts'\nexport { order } from '../domain/order.ts'\nexport type Needs = { ids: typeof ids; holdStock: typeof holdStock }`,
  'src/contexts/orders/infrastructure/store.ts': `import type { Config } from '#src/config.ts'\nexport { ids as store } from '#platform/ids.ts'\nexport type Of = Config`,
  'src/contexts/orders/infrastructure/bank-client.ts': `export { request } from 'node:http'`,
  'src/contexts/orders/index.ts': `export { order as orders } from './domain/order.ts'`,
  'src/sandbox/server.ts': `export const server = 1`,
  'src/audit/oracles.ts': `export { ids as oracles } from '#platform/ids.ts'`,
  'src/app.ts': `export { orders as app } from '#contexts/orders/index.ts'`,
}

let folder = ''
const write = (path: string, text: string) => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), `${text}\n`)
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stoa-shape-'))
  for (const file of ['package.json', 'tsconfig.json']) cpSync(join(ROOT, file), join(folder, file))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const [path, text] of Object.entries(LEGAL)) write(path, text)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('import rules', () => {
  test('hold in src, and every module of it was read', async () => {
    const { read, violations } = await importsIn(ROOT)
    expect(violations).toEqual([])
    expect(read).toBeGreaterThan(120)
    expect(read).toBeGreaterThanOrEqual(sources.length)
  })

  test('a legal project breaks none', async () => {
    expect((await importsIn(folder)).violations).toEqual([])
  })

  test('each one has a planted violation', () => {
    expect(Object.keys(PLANTED).sort()).toEqual(rules.forbidden.map(({ name }) => name).sort())
  })

  test.each(Object.keys(PLANTED))('%s', async (name) => {
    const [path, text] = PLANTED[name]!
    write(path, text)
    if (name === 'no-circular')
      write('src/kernel/money.ts', `export const money = 1\nexport { planted } from './planted.ts'`)
    try {
      const { violations } = await importsIn(folder)
      expect(violations.filter((violation) => violation.startsWith(`${name}: `))).not.toEqual([])
    } finally {
      rmSync(join(folder, path))
      write('src/kernel/money.ts', LEGAL['src/kernel/money.ts']!)
    }
  })
})

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are programs
/** For each text rule, files that break it. */
const BROKEN: Readonly<Record<string, readonly Source[]>> = {
  'environment only in config.ts': [
    { path: 'src/app.ts', text: 'const port = process.env.PORT' },
    { path: 'src/app.ts', text: `import { env } from 'node:process'` },
  ],
  'no default export': [{ path: 'src/app.ts', text: 'export default 1' }],
  'at most 250 lines': [{ path: 'src/app.ts', text: 'x\n'.repeat(251) }],
  'nouns of the business, not of the machinery': [
    { path: 'src/contexts/orders/domain/order-service.ts', text: '' },
    { path: 'src/platform/db/utils.ts', text: '' },
  ],
  'named columns only': [
    { path: 'src/platform/x.ts', text: 'sql`select * from platform.events`' },
    { path: 'src/platform/x.ts', text: 'sql<Row>`with e as (select 1) select e.* from e`' },
    { path: 'src/platform/x.ts', text: 'sql`delete from platform.events returning *`' },
    { path: 'src/platform/x.ts', text: `tx.selectFrom('platform.events').selectAll()` },
  ],
  'no SQL built from text': [
    { path: 'src/platform/x.ts', text: 'sql.raw(name)' },
    { path: 'src/platform/x.ts', text: `sql.raw(up ? 'asc' : name)` },
    { path: 'src/platform/x.ts', text: 'client.query(`drop table ${name}`)' },
  ],
  'SQL names its own schema only': [
    { path: 'src/contexts/orders/x.ts', text: 'sql`select id from payments.payments where id = ${id}`' },
    { path: 'src/contexts/orders/x.ts', text: `tx.selectFrom('catalog.stock')` },
    { path: 'src/platform/x.ts', text: 'sql<Row>`${a} update users.users set name = null`' },
  ],
  'whoever reads across schemas changes nothing': [
    { path: 'src/cli/import.ts', text: 'sql`select id from catalog.products`' },
    { path: 'src/audit/money.ts', text: 'sql`update payments.payments set status = null`' },
    { path: 'src/cli/show.ts', text: 'sql`select id from orders.orders for update`' },
  ],
  'time comes from the clock': [
    { path: 'src/contexts/orders/x.ts', text: 'const now = new Date()' },
    { path: 'src/contexts/orders/x.ts', text: 'sql`select id from orders.orders where hold_until < now()`' },
  ],
  'a domain decides from its arguments alone': [
    { path: 'src/contexts/orders/domain/x.ts', text: 'const id = crypto.randomUUID()' },
  ],
  'only clients and the platform open sockets': [
    { path: 'src/contexts/payments/infrastructure/x.ts', text: 'await fetch(url)' },
  ],
}

/** What no rule may mistake for a violation. */
const SOUND: readonly Source[] = [
  {
    path: 'src/audit/money.ts',
    text: 'sql`select o.id from orders.orders o join payments.payments p on p.order_id = o.id`',
  },
  { path: 'src/contexts/orders/x.ts', text: `sql.raw(up ? 'asc' : 'desc')` },
  { path: 'src/contexts/orders/x.ts', text: 'sql`select count(*) from orders.orders where id = ${id}`' },
  {
    path: 'src/contexts/orders/x.ts',
    text: `// never process.env, never new Date()\nconst on = { 'payments.captured.v1': 1 }`,
  },
  { path: 'src/contexts/payments/infrastructure/sandbox-client.ts', text: 'await fetch(url)' },
]
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: these were programs

describe('text rules', () => {
  test.each(Object.entries(sourceRules))('%s', (name, rule) => {
    const complaints = sources.flatMap((source) => {
      const complaint = rule(source)
      return complaint ? [`${source.path} ${complaint}`] : []
    })
    expect(complaints).toEqual([])
    const missed = BROKEN[name]!.filter((planted) => rule(planted) === undefined)
    expect(missed).toEqual([])
    expect(SOUND.filter((sound) => rule(sound))).toEqual([])
  })

  test('only files that need it are excused', () => {
    const textOf = (path: string) => sources.find((source) => source.path === path)?.text ?? ''
    expect(Object.keys(LONGER).filter((path) => textOf(path).split('\n').length <= 251)).toEqual([])
    expect(Object.keys(NAMES_IN_SQL).filter((path) => !buildsSql(textOf(path)))).toEqual([])
  })

  test('each code that is refused stands in one table of problems, under the name of its context', async () => {
    const tables = await Promise.all(
      globSync(['src/contexts/*/domain/problems.ts', 'src/platform/problems.ts'], { cwd: ROOT }).map(async (path) => ({
        path,
        codes: Object.keys(
          Object.values((await import(join(ROOT, path))) as object).find((each) => typeof each === 'object'),
        ),
      })),
    )
    const codes = tables.flatMap((table) => table.codes)
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([])
    expect(codes.filter((code) => !/^[a-z]+\.[a-z]+(-[a-z]+)*$/.test(code))).toEqual([])
    const used = sources.flatMap(({ path, text }) => refusalsOf(text).map((code) => `${path} ${code}`))
    expect(used.filter((use) => !codes.includes(use.split(' ')[1]!))).toEqual([])
    const said = sources
      .filter(({ path }) => !path.endsWith('problems.ts'))
      .map(({ text }) => text)
      .join('\n')
    expect(codes.filter((code) => !said.includes(`'${code}'`))).toEqual([])
  })
})

test('.env.example names each variable that config.ts reads, and no other', () => {
  const config = sources.find(({ path }) => path === 'src/config.ts')!.text
  const read = [...config.matchAll(/\bread\.[a-zA-Z]+\(\s*'([A-Z_]+)'|\bkeys\.([A-Z_]+)/g)].map(([, a, b]) => a ?? b!)
  const example = readFileSync(join(ROOT, '.env.example'), 'utf8')
  const described = [...example.matchAll(/^#? ?([A-Z][A-Z_]+)=/gm)].map(([, name]) => name!)
  expect(described.sort()).toEqual([...new Set(read)].sort())
})

test('npm 10, 11 and 12 leave the lockfile as it is', () => {
  expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toMatch(/"libc"|"resolved": "http:/)
})
