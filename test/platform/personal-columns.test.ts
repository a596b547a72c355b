import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase } from '#platform/db/pool.ts'
import { readRegistry } from '#platform/security/sealed-columns.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { verdict } from '../kit/verdict.ts'

/** P25 begins here: what a column says of people decides what is sealed anew, exported and erased. */
let database: TestDatabase
let owner: pg.Client
beforeAll(async () => {
  database = await testDatabase()
  owner = new pg.Client({ connectionString: database.ownerUrl })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await database.drop()
})

const SAYS =
  /^(not personal|personal: (sealed( for \w+( in (hex|base64url))?)?|sealed with the caller's secret|blind index|one-way|plain, .{5,}))$/

type Column = { name: string; type: string; says: string | null }
const columns = async (): Promise<Column[]> => {
  const { rows } = await owner.query<Column>(
    `select format('%s.%s.%s', n.nspname, c.relname, a.attname) as name, format_type(a.atttypid, null) as type,
       col_description(c.oid, a.attnum) as says
     from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
     where c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped
       and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'graphile_worker')
     order by 1`,
  )
  return rows
}
const unannotated = async () => (await columns()).filter(({ says }) => !SAYS.test(says ?? '')).map(({ name }) => name)

test('P25: every column of every table says what it holds of people', async () => {
  const { length: n } = await columns()
  expect(n).toBeGreaterThan(300)
  const violations = (await unannotated()).map((name) => `${name} does not say what it holds of people`)
  verdict({ promise: 'P25', tried: 'columns, each of which says what it holds of people', n, violations })
})

test('a column that says nothing, or something else, is found', async () => {
  await owner.query(`create table users.probe (id text primary key, e_mail text);
    comment on column users.probe.id is 'not personal'; comment on column users.probe.e_mail is 'personal: plain'`)
  expect(await unannotated()).toEqual(['users.probe.e_mail'])
  await owner.query('alter table users.probe add column phone text')
  expect(await unannotated()).toEqual(['users.probe.e_mail', 'users.probe.phone'])
  await owner.query('drop table users.probe')
})

test('what is sealed, one-way or an index is bytes, or a hash that says how it was made', async () => {
  const odd = (await columns()).filter(
    ({ name, type, says }) =>
      /^personal: (sealed|blind index|one-way)/.test(says ?? '') &&
      type !== 'bytea' &&
      name !== 'users.users.password_hash',
  )
  expect(odd).toEqual([])
})

test('rotation reads the same comments: the tables, their keys and what each value is bound to', async () => {
  const pool = openDatabase({ url: database.url, maxConnections: 1, connectTimeoutMs: 5_000, onIdleError: () => {} })
  const { sealed, callers, indexes } = await readRegistry(pool.db)
  await pool.close()
  const said = (await columns()).filter(({ says }) => /^personal: (sealed|blind index)/.test(says ?? ''))
  const read = [
    ...sealed.flatMap(({ columns, ...table }) => columns.map(({ column }) => ({ ...table, column }))),
    ...callers,
    ...indexes,
  ].map(({ schema, table, column }) => `${schema}.${table}.${column}`)
  expect(read.sort()).toEqual(said.map(({ name }) => name).sort())
  expect(sealed.find(({ table }) => table === 'audit_log')).toEqual({
    ...{ schema: 'platform', table: 'audit_log', key: 'id' },
    columns: [{ column: 'address', row: 'request_id', written: 'text' }],
  })
  expect(sealed.find(({ table }) => table === 'links')?.columns).toEqual([
    { column: 'new_email', row: 'hash', written: 'hex' },
  ])
})
