import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrate, migrationsFolder } from '#platform/db/migrate.ts'
import { bareDatabase, type TestDatabase } from '../kit/database.ts'
import { lint } from '../kit/migration-lint.ts'
import { verdict } from '../kit/verdict.ts'

/** From before the first release, when no shop had rows to wait for or code of before to run beside: frozen as they are. No line is added. */
const BEFORE_THE_FIRST_RELEASE = new Set([
  '0006_identity.sql',
  '0011_revoked_families.sql',
  '0012_second_factors.sql',
  '0013_links.sql',
  '0025_payment_states.sql',
  '0026_order_mails.sql',
  '0028_checkout_and_refund_lines.sql',
  '0029_books.sql',
  '0034_manual_refunded.sql',
  '0035_failed_refunds.sql',
])

let database: TestDatabase
let owner: pg.Client
beforeAll(async () => {
  database = await bareDatabase()
  owner = new pg.Client({ connectionString: database.ownerUrl })
  await owner.connect()
  const empty = await mkdtemp(join(tmpdir(), 'stoa-no-migrations-'))
  await migrate({ ownerUrl: database.ownerUrl, folder: empty, log: () => {} })
  await rm(empty, { recursive: true })
})
afterAll(async () => {
  await owner?.end()
  await database?.drop()
})

test('P20: every migration leaves a living shop, and the code of before, in peace', async () => {
  const names = readdirSync(migrationsFolder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
  const violations: string[] = []
  for (const name of names) {
    const found = await lint(owner, readFileSync(join(migrationsFolder, name), 'utf8'))
    if (!BEFORE_THE_FIRST_RELEASE.has(name)) violations.push(...found.map((what) => `${name} ${what}`))
    else if (found.length === 0) violations.push(`${name} is excused for nothing`)
  }
  verdict({ promise: 'P20', tried: 'each migration linted by what it does to a database', n: names.length, violations })
})

describe('found', () => {
  beforeAll(() =>
    owner.query(`create schema probe; create table probe.a (id int primary key, b text not null default '', c int);
      create table probe.d (id int)`),
  )
  test.each([
    ['set lock_timeout = 0; alter table probe.a add column x int', 'sets its own time-outs'],
    ['alter table probe.a add column x int; alter table probe.d add column x int', 'locks probe.a and probe.d at once'],
    ['alter table probe.a add column x int not null', 'requires probe.a.x, which code of before leaves out'],
    ['alter table probe.a alter column c set not null', 'requires probe.a.c, which it looks for in every row'],
    ['alter table probe.a add column x float not null default random()', 'rewrites probe.a'],
    ['alter table probe.a alter column id type bigint', 'rewrites probe.a'],
    ['alter table probe.a rename column b to bee', 'drops or renames probe.a.b'],
    ['alter table probe.a drop column b', 'drops or renames probe.a.b'],
    ['alter table probe.d rename to e', 'renames probe.d'],
    ['drop table probe.d', 'drops probe.d'],
    ['create index a_c on probe.a (c)', 'builds probe.a_c while nobody may write probe.a'],
    [`alter table probe.a add check (b <> 'x')`, 'checks every row of probe.a for a_b_check'],
    ['alter table probe.a add foreign key (c) references probe.a', 'checks every row of probe.a for a_c_fkey'],
    [`update probe.a set b = 'y'`, 'changes rows of probe.a'],
    ['-- no-transaction\ncreate index concurrently a_c on probe.a (c);', 'cannot be repeated'],
    ['-- no-transaction\nalter table probe.a add column x int;', 'needs a transaction'],
  ])('%s', async (sql, finding) => {
    expect((await lint(owner, sql, 'rollback')).join()).toContain(finding)
  })

  test.each([
    `alter table probe.a add column x text not null default 'x'; comment on column probe.a.x is 'not personal'`,
    `alter table probe.a add constraint a_good check (b <> 'x') not valid`,
    'create table probe.f (a_id int references probe.a); create index f_a on probe.f (a_id); insert into probe.f values (null)',
    '-- no-transaction\n-- Why.\ncreate index concurrently if not exists a_c on probe.a (c);\ndrop index concurrently if exists probe.a_c;\n',
  ])('not found: %s', async (sql) => {
    expect(await lint(owner, sql, 'rollback')).toEqual([])
  })
})
