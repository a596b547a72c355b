import { createSecretKey, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '#platform/db/pool.ts'
import { makeEncryption } from '#platform/security/encryption.ts'
import { type LiveKeyRing, openKeyRing } from '#platform/security/key-ring.ts'
import { derivedKey, type MasterKey } from '#platform/security/master-keys.ts'
import { rotateKeys } from '#platform/security/rotate-keys.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { enableFailpoints } from '../kit/failpoints.ts'

const log = makeLog({ level: 'silent', sync: true })
const masterKey = (id: number): MasterKey => ({ id, secret: createSecretKey(randomBytes(32)) })
const [first, second] = [masterKey(1), masterKey(2)]
const ROWS = 700

let server: TestDatabase
let owner: pg.Client
let pool: Database
let ownerPool: Database
let ring: LiveKeyRing
const rings: LiveKeyRing[] = []

beforeEach(async () => {
  server = await testDatabase()
  owner = new pg.Client({ connectionString: server.ownerUrl })
  await owner.connect()
  await owner.query(`create schema scratch;
    create table scratch.people (id text primary key, name bytea, phone bytea, visits int not null default 0);
    create table scratch.notes (id bigint primary key, author text not null, text bytea);
    create table scratch.links (hash bytea primary key, target bytea);
    create table scratch.answers (id int primary key, body bytea);
    comment on column scratch.people.name is 'personal: sealed';
    comment on column scratch.people.phone is 'personal: sealed';
    comment on column scratch.notes.text is 'personal: sealed for author';
    comment on column scratch.links.target is 'personal: sealed for hash in base64url';
    comment on column scratch.answers.body is 'personal: sealed with the caller''s secret'`)
  const settings = { maxConnections: 3, connectTimeoutMs: 5_000, onIdleError: () => {} }
  pool = openDatabase({ url: server.url, ...settings })
  ownerPool = openDatabase({ url: server.ownerUrl, ...settings })
  ring = await aProcess(first)
})
afterEach(async () => {
  enableFailpoints('')
  for (const one of rings.splice(0)) await one.stop()
  await pool.close()
  await ownerPool.close()
  await owner.end()
  await server.drop()
})

const aProcess = async (...masterKeys: MasterKey[]) => {
  const one = await openKeyRing({ db: pool.db, masterKeys, refreshMs: 100, log })
  rings.push(one)
  return one
}
const rotate = (masterKeys: readonly MasterKey[] = [first]) =>
  rotateKeys({
    db: ownerPool.db,
    masterKeys,
    log,
    signal: new AbortController().signal,
    onStep: () => {},
    onProgress: () => {},
  })

const place = (table: string, column: string, row: string) => ({ table: `scratch.${table}`, column, row })
const HASH = Buffer.from('fbefbe', 'hex')

/** People, a note, a link, an answer: sealed by the given ring. */
async function fill(keys: LiveKeyRing = ring): Promise<void> {
  const { seal, sealBytes } = makeEncryption(keys)
  const ids = Array.from({ length: ROWS }, (_, at) => `p${at}`)
  await owner.query(
    'insert into scratch.people (id, name, phone) select * from unnest($1::text[], $2::bytea[], $3::bytea[])',
    [
      ids,
      ids.map((id) => seal(`name of ${id}`, place('people', 'name', id))),
      ids.map((id, at) => (at % 3 ? seal(`phone of ${id}`, place('people', 'phone', id)) : null)),
    ],
  )
  await owner.query('insert into scratch.notes values ($1, $2, $3)', [
    7,
    'u1',
    seal('a note', place('notes', 'text', 'u1')),
  ])
  await owner.query('insert into scratch.links values ($1, $2)', [
    HASH,
    seal('a target', place('links', 'target', '--++'.replaceAll('+', '-'))),
  ])
  await owner.query('insert into scratch.answers values (1, $1)', [sealBytes(Buffer.from('an answer'), 'key')])
}
const nameOf = async (id: string): Promise<string> => {
  const { rows } = await owner.query('select name from scratch.people where id = $1', [id])
  return makeEncryption(ring).open(rows[0].name, place('people', 'name', id))
}
/** How many values of all sealed columns stand under each header. */
const headers = async () => {
  const { rows } = await owner.query(`
    select encode(substr(value, 1, 3), 'hex') as header, count(*)::int as count from (
      select name as value from scratch.people union all select phone from scratch.people
      union all select text from scratch.notes union all select target from scratch.links) v
    where value is not null group by 1 order by 1`)
  return Object.fromEntries(rows.map(({ header, count }) => [header, count]))
}
const TOTAL = ROWS + Math.floor((ROWS * 2) / 3) + 2

describe('rotation of keys', () => {
  it('seals every sealed column anew, for whatever its comment says it is bound to, and nothing else', async () => {
    await fill()
    const before = await headers()
    const result = await rotate()
    expect(Object.keys(before)).toEqual(['020002'])
    expect(await headers()).toEqual({ '020005': before['020002'] })
    expect(before['020002']).toBeGreaterThan(TOTAL - 2)
    expect(result).toMatchObject({
      rewrapped: [],
      columnsKey: { id: 5, made: true },
      resealed: { 'scratch.people': ROWS, 'scratch.notes': 1, 'scratch.links': 1 },
      broken: [],
      busy: 0,
      deleted: [],
      kept: [
        { id: 2, purpose: 'columns', values: 0 },
        { id: 3, purpose: 'receipts', values: 1 },
      ],
      spareMasterKeys: [],
    })
    await ring.refresh()
    const { open, openBytes } = makeEncryption(ring)
    for (const id of ['p0', 'p299', 'p300', 'p699']) expect(await nameOf(id)).toBe(`name of ${id}`)
    const { rows: notes } = await owner.query('select text from scratch.notes')
    expect(open(notes[0].text, place('notes', 'text', 'u1'))).toBe('a note')
    const { rows: links } = await owner.query('select target from scratch.links')
    expect(open(links[0].target, place('links', 'target', HASH.toString('base64url')))).toBe('a target')
    const { rows: answers } = await owner.query('select body from scratch.answers')
    expect(openBytes(answers[0].body, 'key').toString()).toBe('an answer')
  })

  it('wraps all data keys under a new master key: the old one can go, and no index changes', async () => {
    await fill()
    const index = makeEncryption(ring).blindIndex('ann@example.com', 'users.email')
    const result = await rotate([second, first])
    expect(result).toMatchObject({ masterKey: 2, rewrapped: [1, 2, 3], spareMasterKeys: [1] })
    ring = await aProcess(second)
    expect(await nameOf('p5')).toBe('name of p5')
    expect(makeEncryption(ring).blindIndex('ann@example.com', 'users.email')).toEqual(index)
    await expect(aProcess(first)).rejects.toThrow('ENCRYPTION_KEYS lacks key 2')
  })

  it('refuses to begin while a process runs without the first master key, and names it', async () => {
    await ring.start()
    await expect(rotate([second, first])).rejects.toThrow(`:${process.pid}:`)
    await expect(rotate([masterKey(1)])).rejects.toThrow('ENCRYPTION_KEYS has another key 1')
    const { rows } = await owner.query('select count(*)::int as keys from platform.data_keys')
    expect(rows).toEqual([{ keys: 3 }])
    await ring.stop()
    expect(await rotate([second, first])).toMatchObject({ masterKey: 2 })
  })

  it('waits until every process knows the new key before any seals with it, and until all do', async () => {
    await fill()
    const [one, two] = [await aProcess(first), await aProcess(first)]
    await Promise.all([one.start(), two.start()])
    const encryptions = [one, two].map(makeEncryption)
    let done = false
    const rotated = rotate().finally(() => {
      done = true
    })
    let [opened, seen] = [0, new Set<number>()]
    while (!done) {
      for (const [at, { seal }] of encryptions.entries()) {
        const sealed = seal('x', place('people', 'name', 'p1'))
        seen.add(sealed[2]!)
        expect(encryptions[1 - at]!.open(sealed, place('people', 'name', 'p1'))).toBe('x')
        opened += 1
      }
      await pause(2)
    }
    await rotated
    expect([...seen]).toEqual([2, 5])
    expect(opened).toBeGreaterThan(50)
  })

  it('overwrites no change that was made between reading and writing', async () => {
    await fill()
    enableFailpoints('keys.batch-read=delay:400')
    const rotated = rotate()
    // Notes are done before people: these are read now, and written 400 ms later.
    const noteIsDone = async () =>
      (await owner.query('select substr(text, 1, 3) as header from scratch.notes')).rows[0].header[2] === 5
    while (!(await noteIsDone())) await pause(10)
    await pause(150)
    const changed = makeEncryption(ring).seal('changed', place('people', 'name', 'p1'))
    await owner.query('update scratch.people set name = $1, visits = 1 where id = $2', [changed, 'p1'])
    await owner.query(`update scratch.people set visits = 1 where id = 'p2'`)
    await owner.query(`update scratch.people set name = null where id = 'p4'`)
    await owner.query(`delete from scratch.people where id = 'p7'`)
    const result = await rotated
    await ring.refresh()
    expect(result.busy).toBe(0)
    expect(await nameOf('p1')).toBe('changed')
    expect(await nameOf('p2')).toBe('name of p2')
    const { rows } = await owner.query(
      `select id, name, visits from scratch.people where id in ('p4', 'p7', 'p2') order by 1`,
    )
    expect(rows).toMatchObject([
      { id: 'p2', visits: 1 },
      { id: 'p4', name: null },
    ])
    expect(Object.keys(await headers())).toEqual(['020005'])
  })

  it('waits for nobody who holds a row, and takes it when it is free', async () => {
    await fill()
    const holder = new pg.Client({ connectionString: server.ownerUrl })
    await holder.connect()
    enableFailpoints('keys.batch-read=delay:100')
    const rotated = rotate()
    while (!('020005' in (await headers()))) await pause(20)
    await holder.query(`begin; select from scratch.people where id = 'p98' for update`)
    while (((await headers())['020002'] ?? 0) > 2) await pause(50)
    await pause(500)
    expect((await headers())['020002']).toBe(2)
    await holder.query('commit')
    await holder.end()
    expect((await rotated).busy).toBe(0)
    expect(Object.keys(await headers())).toEqual(['020005'])
  })

  it('goes on where it was stopped: no third key, and what is done is not done again', async () => {
    await fill()
    const stop = new AbortController()
    const needs = { db: ownerPool.db, masterKeys: [first], log, onStep: () => {} }
    const stopped = rotateKeys({
      ...needs,
      signal: stop.signal,
      onProgress: (done) => done > 2 && stop.abort(new Error('enough')),
    })
    await expect(stopped).rejects.toThrow('enough')
    const half = await headers()
    expect(Object.keys(half)).toEqual(['020002', '020005'])
    const result = await rotate()
    expect(result.columnsKey).toEqual({ id: 5, made: false })
    const rows = Object.values(result.resealed).reduce((sum, count) => sum + count, 0)
    expect(rows).toBe(ROWS - 300)
    expect(Object.keys(await headers())).toEqual(['020005'])
    expect((await rotate()).columnsKey).toEqual({ id: 7, made: true })
  })

  it('lets one run at a time', async () => {
    await fill()
    enableFailpoints('keys.batch-read=delay:3000')
    const slow = rotate()
    await pause(200)
    await expect(rotate()).rejects.toThrow('another rotation of keys is under way')
    enableFailpoints('')
    await slow
  })

  it('tells of a value that does not open, leaves it, and keeps its key', async () => {
    await fill()
    await owner.query(
      `update scratch.people set name = (select name from scratch.people where id = 'p9') where id = 'p8'`,
    )
    const result = await rotate()
    expect(result.broken).toEqual(['scratch.people.name:p8'])
    expect(result.kept).toMatchObject([{ id: 2, values: 1 }, { id: 3 }])
    expect(await headers()).toMatchObject({ '020002': 1 })
    expect((await rotate()).columnsKey.made).toBe(true)
  })

  it('deletes a key a day after it retired, unless a value still needs it', async () => {
    await fill()
    await rotate()
    await owner.query(
      `update platform.data_keys set retired_at = now() - interval '23 hours' where retired_at is not null`,
    )
    expect((await rotate()).deleted).toEqual([])
    await owner.query(
      `update platform.data_keys set retired_at = now() - interval '25 hours' where retired_at is not null`,
    )
    const result = await rotate()
    expect(result.deleted).toEqual([2, 4, 5])
    expect(result.kept.map(({ id }) => id)).toEqual([3, 6, 7])
    await owner.query('delete from scratch.answers')
    await owner.query(`update platform.data_keys set retired_at = now() - interval '25 hours' where id = 3`)
    expect((await rotate()).deleted).toEqual([3])
    await ring.refresh()
    expect(await nameOf('p6')).toBe('name of p6')
  })

  it('carries a database from before there were data keys over to them, whatever master key it was sealed with', async () => {
    const old = await testDatabase()
    const client = new pg.Client({ connectionString: old.ownerUrl })
    await client.connect()
    const oldOwner = openDatabase({
      url: old.ownerUrl,
      maxConnections: 2,
      connectTimeoutMs: 5_000,
      onIdleError: () => {},
    })
    const index = Buffer.alloc(32, 1)
    const insert = (id: string, email: Buffer | null, at: Buffer) =>
      client.query(
        `insert into users.users (id, email, email_index, password_hash, roles, created_at, updated_at)
         values ($1, $2, $3, 'x', '{customer}', now(), now())`,
        [id, email, at],
      )
    await insert('usr_0', Buffer.from('0101'.padEnd(64, '0'), 'hex'), index)
    const before = makeEncryption(
      await openKeyRing({ db: oldOwner.db, masterKeys: [second, first], refreshMs: 1_000, log }),
    )
    const where = (row: string) => ({ table: 'users.users', column: 'email', row })
    await insert(
      'usr_1',
      before.seal('ann@example.com', where('usr_1')),
      before.blindIndex('ann@example.com', 'users.email'),
    )
    expect(derivedKey(first, 'index').export()).toHaveLength(32)

    const result = await rotateKeys({
      ...{ db: oldOwner.db, masterKeys: [second, first], log, signal: new AbortController().signal },
      onStep: () => {},
      onProgress: () => {},
    })
    expect(result).toMatchObject({
      resealed: { 'users.users': 1 },
      broken: ['users.users.email:usr_0'],
      spareMasterKeys: [1],
    })
    const after = makeEncryption(await openKeyRing({ db: oldOwner.db, masterKeys: [second], refreshMs: 1_000, log }))
    const { rows } = await client.query(`select email, email_index from users.users where id = 'usr_1'`)
    expect(rows[0].email[0]).toBe(2)
    expect(after.open(rows[0].email, where('usr_1'))).toBe('ann@example.com')
    expect(after.blindIndex('ANN@example.com', 'users.email')).toEqual(rows[0].email_index)
    await client.end()
    await oldOwner.close()
    await old.drop()
  })
})
