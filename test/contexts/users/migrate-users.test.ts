import { hash as bcrypt } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import { type TestShop, testShop } from '../../kit/shop.ts'
import { PASSWORD, peopleOf } from './people.ts'
import { sqlOf } from './sql.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
})
afterAll(() => shop.close())

const take = async (text: string | Buffer, more: { format?: 'csv' | 'ndjson'; dryRun?: boolean } = {}) => {
  const bytes = async function* () {
    const all = Buffer.from(text as string)
    for (let at = 0; at < all.length; at += 1_000) yield all.subarray(at, at + 1_000)
  }
  return shop.app.contexts.users.importUsers(
    { actor: systemActor, requestId: 'test-migrate' },
    { source: { name: 'people', bytes }, format: 'csv', ...more },
  )
}
const reportOf = async (...given: Parameters<typeof take>) => {
  const outcome = await take(...given)
  if (outcome.status !== 'finished') throw new Error(JSON.stringify(outcome.problem))
  return outcome.report
}
const csv = (...lines: string[]) => lines.join('\n')
const usersThere = async () => (await sqlOf(shop, 'select id from users.users')).length
const auditRows = () =>
  sqlOf<{ after: object }>(shop, `select after from platform.audit_log where action = 'users.import' order by id`)

describe('people of another system', () => {
  it('log in with their old password, see their old name and time, and get a hash of ours', async () => {
    const old = await bcrypt(PASSWORD, { cost: 5, version: '2a' })
    const report = await reportOf(
      csv(
        'id,Email,encrypted_password,first_name,last_name,email_verified,created_at,phone',
        `17,Old.Ann@shop.example,${old},Ann,"Lee, PhD",true,2019-05-06 07:08:09,555`,
      ),
    )
    expect(report).toEqual({
      people: 1,
      created: 1,
      existing: 0,
      withoutPassword: 0,
      refused: [],
      otherColumns: ['id', 'phone'],
    })
    expect((await people.logIn('old.ann@shop.example', 'wrong password')).status).toBe(401)
    const session = await people.logIn('old.ann@shop.example')
    expect(session).toMatchObject({
      status: 200,
      body: {
        user: {
          email: 'Old.Ann@shop.example',
          name: 'Ann Lee, PhD',
          roles: ['customer'],
          createdAt: '2019-05-06T07:08:09.000Z',
        },
      },
    })
    const [row] = await sqlOf<{ hash: string; verified: Date; all: string }>(
      shop,
      'select password_hash as hash, email_verified_at as verified, u::text as all from users.users u where id = $1',
      session.body.user.id,
    )
    expect(row?.hash).toMatch(/^\$argon2id\$/)
    expect(row?.verified).toEqual(shop.clock.now)
    for (const canary of ['Old.Ann', 'PhD'])
      for (const form of [canary, Buffer.from(canary).toString('hex')]) expect(row?.all).not.toContain(form)
    expect(await sqlOf(shop, `select 1 from platform.events where subject = $1`, session.body.user.id)).toEqual([])
  })

  it('without a hash have an account that no password opens', async () => {
    const report = await reportOf(csv('email,password_hash', 'empty@shop.example,', 'null@shop.example,NULL'))
    expect(report).toMatchObject({ created: 2, withoutPassword: 2, refused: [] })
    for (const password of ['', '!', PASSWORD, 'nobody has this password'])
      expect((await people.logIn('empty@shop.example', password)).status).toBe(401)
  })

  it('come once: the same file again changes nothing, and a longer one goes on', async () => {
    const lines = Array.from({ length: 450 }, (_, index) => `many${index}@shop.example,Person ${index}`)
    const before = [await usersThere(), (await auditRows()).length] as const
    expect(await reportOf(csv('email,name', ...lines.slice(0, 250)))).toMatchObject({ created: 250, existing: 0 })
    expect(await reportOf(csv('email,name', ...lines))).toMatchObject({ created: 200, existing: 250 })
    const batches = (await auditRows()).slice(before[1])
    expect(batches.map(({ after }) => after)).toEqual([
      { fromRow: 2, toRow: 201, created: 200 },
      { fromRow: 202, toRow: 251, created: 50 },
      { fromRow: 202, toRow: 401, created: 150 },
      { fromRow: 402, toRow: 451, created: 50 },
    ])
    const everything = () => sqlOf(shop, 'select u::text from users.users u order by id')
    const whole = await everything()
    expect(await reportOf(csv('email,name', ...lines))).toMatchObject({ created: 0, existing: 450 })
    expect(await everything()).toEqual(whole)
    expect((await auditRows()).length).toBe(before[1] + 4)
    expect(await usersThere()).toBe(before[0] + 450)
  })

  it('who have an account here keep it as it is, staff as well', async () => {
    await people.register('here@shop.example')
    const other = await bcrypt('another password', { cost: 4 })
    await shop.asOwner()
    const report = await reportOf(
      csv('email,password,name', `HERE@shop.example,${other},Eve`, `${shop.app.config.ownerEmail},${other},Eve`),
    )
    expect(report).toMatchObject({ created: 0, existing: 2, refused: [] })
    expect((await people.logIn('here@shop.example', 'another password')).status).toBe(401)
    expect((await people.logIn('here@shop.example')).body.user.name).toBe('Ann Lee')
    expect((await people.logIn(shop.app.config.ownerEmail, 'another password')).status).toBe(401)
  })

  it('are told by row and column where they are not taken, without what stands there', async () => {
    const report = await reportOf(
      csv(
        'email,password_hash,role,created_at',
        'good@shop.example,,,',
        'nonsense,,,',
        'GOOD@shop.example ,,,',
        'plain@shop.example,hunter2,,',
        'costly@shop.example,$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW,,',
        'boss@shop.example,,admin,',
        'later@shop.example,,,2999-01-01',
      ),
    )
    expect(report.created).toBe(1)
    expect(report.refused).toEqual([
      { row: 3, column: 'email', reason: 'is not an e-mail address' },
      { row: 4, column: 'email', reason: 'is that of row 2 as well' },
      { row: 5, column: 'password_hash', reason: 'has a form that is not known' },
      { row: 6, column: 'password_hash', reason: 'has a cost above 14' },
      { row: 7, column: 'role', reason: expect.stringContaining('is more than a customer') },
      { row: 8, column: 'created_at', reason: 'is in the future' },
    ])
    for (const canary of ['shop.example', 'hunter2', 'admin']) expect(JSON.stringify(report)).not.toContain(canary)
  })

  it.each([
    ['bytes that are not UTF-8', Buffer.from('email,name\na@shop.example,Zo\xeb\n', 'latin1'), { row: 2, column: 2 }],
    ['a cell too many', csv('email,name', 'damaged1@shop.example,A', 'damaged2@shop.example,A,B'), { row: 3 }],
    ['an open quotation mark', csv('email,name', 'damaged1@shop.example,"A'), { row: 2 }],
    ['no column of e-mails', csv('name', 'Ann'), { row: 1 }],
    ['one column twice', csv('email,name,email', 'damaged1@shop.example,,'), { row: 1, column: 3 }],
    ['nothing', '', { row: 1 }],
  ])('in a file with %s are not taken at all', async (_, text, place) => {
    const before = await usersThere()
    const outcome = await take(text)
    expect(outcome).toEqual({ status: 'refused', problem: { ...place, detail: expect.any(String) } })
    expect(await usersThere()).toBe(before)
  })

  it('come from lines of JSON as well, where a bad line spoils no other', async () => {
    const old = await bcrypt(PASSWORD, { cost: 4 })
    const report = await reportOf(
      Buffer.concat([
        Buffer.from(`${JSON.stringify({ email: 'json@shop.example', passwordHash: old, emailVerified: true })}\r\n\n`),
        Buffer.from('{"email":"zo\xeb@shop.example"}\n', 'latin1'),
        Buffer.from('{"email":\n[]\n{"email":null}\n{"email":{"$ne":1}}\n'),
        Buffer.from(JSON.stringify({ email: 'last@shop.example', name: 'Zo\ud83d', roles: [] })),
        Buffer.from(`\n${JSON.stringify({ email: 'tail@shop.example', name: null, createdAt: 1_577_934_245 })}`),
      ]),
      { format: 'ndjson' },
    )
    expect(report).toMatchObject({ people: 8, created: 2, withoutPassword: 1 })
    expect(report.refused).toEqual([
      { row: 3, column: null, reason: 'has a byte that is not UTF-8' },
      { row: 4, column: null, reason: 'is not JSON' },
      { row: 5, column: null, reason: 'is not a JSON object' },
      { row: 6, column: 'email', reason: 'is empty' },
      { row: 7, column: 'email', reason: 'is not an e-mail address' },
      { row: 8, column: 'name', reason: 'has half of a character' },
    ])
    expect((await people.logIn('json@shop.example')).status).toBe(200)
  })

  it('are counted and not saved by a dry run', async () => {
    const before = await usersThere()
    const file = csv('email', 'good@shop.example', 'dry@shop.example', 'nonsense')
    expect(await reportOf(file, { dryRun: true })).toMatchObject({ created: 1, existing: 1, refused: [{ row: 4 }] })
    expect(await usersThere()).toBe(before)
  })

  it('come once of two imports of one file at the same time', async () => {
    const lines = Array.from({ length: 600 }, (_, index) => `both${index}@shop.example`)
    const reports = await Promise.all([1, 2].map(() => reportOf(csv('email', ...lines))))
    expect(reports.reduce((sum, { created }) => sum + created, 0)).toBe(600)
    expect(reports.reduce((sum, { existing }) => sum + existing, 0)).toBe(600)
  })
})
