import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allRoutes } from '#platform/http/routes.ts'
import { accountPermissions } from '../../src/contexts/users/domain/roles.ts'
import { factorsOf } from '../contexts/users/factors.ts'
import { bearer, PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
let factors: ReturnType<typeof factorsOf>
let owner: { email: string; password: string }
beforeAll(async () => {
  shop = await testShop({ STAFF_MFA: 'required', RATE_LIMITS: 'on' })
  people = peopleOf(shop)
  factors = factorsOf(shop)
  owner = (await people.createOwner())!
})
afterAll(() => shop?.close())

/** A customer with a second factor, and the next step, so that the next code is a new one. */
async function enrolled(name: string) {
  const email = `${name}@shop.example`
  const session = await people.customer(email)
  const factor = await factors.enrol(session)
  shop.clock.advance(0.5)
  return { ...factor, session, email, account: { email, password: PASSWORD } }
}
const required = { status: 401, body: { code: 'users.second-factor-required' } }
const wrongCode = { status: 401, body: { code: 'users.wrong-code' } }
const auditOf = (id: string) =>
  sqlOf<{ action: string; after: object }>(
    shop,
    'select action, after from platform.audit_log where subject = $1 order by id',
    id,
  )

describe('MFA for staff', () => {
  const staffRoutes = () =>
    allRoutes(shop.app.http)
      .filter(({ method }) => method !== 'OPTIONS' && method !== 'HEAD')
      .filter(({ config }) => config?.permission !== 'public')
      .filter(({ config }) => !accountPermissions.has(config?.permission ?? ''))
  const askAll = async (session: Sent) => {
    const asked: string[] = []
    for (const { method, url } of staffRoutes()) {
      const address = url.replaceAll(/:\w+/g, 'nonsense')
      const { status, body } = await shop.send(method as 'GET', address, undefined, bearer(session))
      asked.push(`${method} ${url} ${status} ${status === 403 ? body.code : ''}`)
    }
    return asked
  }

  test('without TOTP every route of theirs is 403, and one’s own account works; with it all open', async () => {
    const boss = await factors.logIn(owner)
    expect(staffRoutes().length).toBeGreaterThan(20)
    const shut = await askAll(boss)
    expect(shut.filter((one) => !one.endsWith('403 platform.second-factor-missing'))).toEqual([])
    expect((await people.me(boss)).body.roles).toEqual(['owner'])
    expect(await factors.status(boss)).toEqual({ totp: false, recoveryCodesLeft: 0 })

    const { secret } = await factors.enrol(boss)
    expect(await factors.status(boss)).toEqual({ totp: true, recoveryCodesLeft: 10 })
    expect((await askAll(boss)).filter((one) => one.includes(' 403 '))).toEqual([])

    expect(await factors.logIn(owner)).toMatchObject(required)
    shop.clock.advance(0.5)
    const again = await factors.logIn({ ...owner, code: factors.codeOf(secret) })
    expect((await shop.send('GET', '/v1/users', undefined, bearer(again))).status).toBe(200)
    expect(await factors.remove(again)).toMatchObject({ status: 409, body: { code: 'users.second-factor-kept' } })
    const refreshed = await people.refresh(again.body.refreshToken)
    expect((await shop.send('GET', '/v1/users', undefined, bearer(refreshed))).status).toBe(200)
  })

  test('a session of before the second factor stays without, until it shows one', async () => {
    const first = await people.customer('promoted@shop.example')
    await sqlOf(shop, `update users.users set roles = '{support}' where id = $1`, first.body.user.id)
    const second = await people.logIn('promoted@shop.example')
    const { secret } = await factors.enrol(second)
    const list = () => shop.send('GET', '/v1/users', undefined, bearer(first))
    expect(await list()).toMatchObject({ status: 403, body: { code: 'platform.second-factor-missing' } })
    expect(await factors.renewCodes(first)).toMatchObject({
      status: 403,
      body: { code: 'users.reauthentication-required' },
    })
    shop.clock.advance(0.5)
    const code = factors.codeOf(secret)
    expect((await factors.reauthenticate(first, { password: PASSWORD, code })).status).toBe(204)
    expect((await list()).status).toBe(200)
  })
})

test('wrong codes are limited also while Redis is away', async () => {
  const alone = await testShop({ RATE_LIMITS: 'on', REDIS_URL: 'redis://127.0.0.1:1' })
  try {
    const factor = factorsOf(alone)
    const email = 'alone@shop.example'
    const { secret } = await factor.enrol(await peopleOf(alone).customer(email))
    const guess = () => factor.logIn({ email, password: PASSWORD, code: factor.wrongCode(secret) })
    for (let time = 1; time <= 5; time += 1) expect(await guess()).toMatchObject(wrongCode)
    expect(await guess()).toMatchObject({ status: 429, body: { code: 'users.too-many-attempts' } })
  } finally {
    await alone.close()
  }
})

describe('a second factor', () => {
  test('is shown as a secret and an address that apps read, and counts once it is confirmed', async () => {
    const session = await people.customer('start@shop.example')
    const started = await factors.start(session)
    expect(started).toMatchObject({ status: 200, body: { secret: expect.stringMatching(/^[A-Z2-7]{32}$/) } })
    const uri = new URL(started.body.uri)
    expect(uri.protocol + uri.host).toBe('otpauth:totp')
    expect(decodeURIComponent(uri.pathname)).toMatch(/:start@shop\.example$/)
    expect(uri.searchParams.get('secret')).toBe(started.body.secret)
    expect((await people.logIn('start@shop.example')).status).toBe(200)
    expect(await factors.confirm(session, factors.wrongCode(started.body.secret))).toMatchObject(wrongCode)
    expect((await people.logIn('start@shop.example')).status).toBe(200)
    const confirmed = await factors.confirm(session, factors.codeOf(started.body.secret))
    expect(new Set(confirmed.body.recoveryCodes).size).toBe(10)
    expect(confirmed.body.recoveryCodes[0]).toMatch(/^([a-z2-9]{7}-){3}[a-z2-9]{7}$/)
    expect(await factors.confirm(session, factors.codeOf(started.body.secret))).toMatchObject({ status: 409 })
    expect(await people.logIn('start@shop.example')).toMatchObject(required)
    const wrongPassword = await factors.logIn({ email: 'start@shop.example', password: 'no, another one' })
    expect(wrongPassword).toMatchObject({ status: 401, body: { code: 'users.wrong-credentials' } })
  })

  test('is kept sealed, and recovery codes as hashes', async () => {
    const { secret, recoveryCodes } = await enrolled('sealed')
    const rows = await sqlOf<{ row: string }>(
      shop,
      `select encode(secret, 'escape') || f::text as row from users.second_factors f
      union all select encode(hash, 'escape') || c::text from users.recovery_codes c`,
    )
    for (const { row } of rows) for (const clear of [secret, ...recoveryCodes]) expect(row).not.toContain(clear)
  })

  test('the same code twice is 401, also at the same time; the steps beside are taken, others not', async () => {
    const { secret, account } = await enrolled('twice')
    const code = factors.codeOf(secret)
    const answers = await Promise.all(Array.from({ length: 4 }, () => factors.logIn({ ...account, code })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401])
    expect(answers.find(({ status }) => status === 401)).toMatchObject(wrongCode)
    expect(await factors.logIn({ ...account, code })).toMatchObject(wrongCode)
    expect(await factors.logIn({ ...account, code: factors.codeOf(secret, -1) })).toMatchObject(wrongCode)
    shop.clock.advance(16)
    expect(await factors.logIn({ ...account, code: factors.codeOf(secret, -2) })).toMatchObject(wrongCode)
    expect(await factors.logIn({ ...account, code: factors.codeOf(secret, 2) })).toMatchObject(wrongCode)
    expect((await factors.logIn({ ...account, code: factors.codeOf(secret, -1) })).status).toBe(200)
    expect((await factors.logIn({ ...account, code: factors.codeOf(secret) })).status).toBe(200)
    expect((await factors.logIn({ ...account, code: factors.codeOf(secret, 1) })).status).toBe(200)
  })

  test('6 wrong codes are 429, and the right one waits 15 minutes', async () => {
    const { secret, account } = await enrolled('six')
    for (let time = 1; time <= 5; time += 1)
      expect(await factors.logIn({ ...account, code: factors.wrongCode(secret) })).toMatchObject(wrongCode)
    const sixth = await factors.logIn({ ...account, code: factors.wrongCode(secret) })
    expect(sixth).toMatchObject({ status: 429, body: { code: 'users.too-many-attempts' } })
    expect(Number(sixth.headers['retry-after'])).toBeGreaterThan(0)
    expect((await factors.logIn({ ...account, code: factors.codeOf(secret) })).status).toBe(429)
    shop.clock.advance(15.1)
    expect((await factors.logIn({ ...account, code: factors.codeOf(secret) })).status).toBe(200)
  })

  test('a recovery code stands for a code once, whatever its case and hyphens, and leaves a trace', async () => {
    const { recoveryCodes, account, session } = await enrolled('recovery')
    const [first, second] = recoveryCodes as [string, string]
    const answers = await Promise.all([first, first].map((code) => factors.logIn({ ...account, code })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401])
    const typed = second.toUpperCase().replaceAll('-', ' ')
    const opened = await factors.logIn({ ...account, code: typed })
    expect(opened.status).toBe(200)
    expect(await factors.status(opened)).toEqual({ totp: true, recoveryCodesLeft: 8 })
    const renewed = await factors.renewCodes(opened)
    expect(renewed.body.recoveryCodes).toHaveLength(10)
    expect(await factors.logIn({ ...account, code: recoveryCodes[2]! })).toMatchObject(wrongCode)
    expect((await factors.logIn({ ...account, code: renewed.body.recoveryCodes[0] })).status).toBe(200)
    const actions = (await auditOf(session.body.user.id)).map(({ action }) => action)
    expect(actions.filter((action) => action === 'users.use-recovery-code')).toHaveLength(3)
    expect(actions).toContain('users.enrol-second-factor')
    expect(actions).toContain('users.renew-recovery-codes')
  })

  test('of new sets at once one is left', async () => {
    const { session } = await enrolled('sets')
    for (let round = 1; round <= 5; round += 1) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => factors.renewCodes(session)))
      expect(answers.every(({ status }) => status === 200)).toBe(true)
      expect((await factors.status(session)).recoveryCodesLeft).toBe(10)
    }
  })

  test('is replaced once the new one is confirmed, and until then the old one counts', async () => {
    const { secret, session, account } = await enrolled('replaced')
    const { body: next } = await factors.start(session)
    expect((await factors.logIn({ ...account, code: factors.codeOf(secret) })).status).toBe(200)
    shop.clock.advance(0.5)
    expect(await factors.logIn({ ...account, code: factors.codeOf(next.secret) })).toMatchObject(wrongCode)
    expect((await factors.confirm(session, factors.codeOf(next.secret))).status).toBe(200)
    shop.clock.advance(0.5)
    expect(await factors.logIn({ ...account, code: factors.codeOf(secret) })).toMatchObject(wrongCode)
    expect((await factors.logIn({ ...account, code: factors.codeOf(next.secret) })).status).toBe(200)
  })

  test('a customer takes it away, with its recovery codes', async () => {
    const { session, account } = await enrolled('removed')
    expect((await factors.remove(session)).status).toBe(204)
    expect(await factors.status(session)).toEqual({ totp: false, recoveryCodesLeft: 0 })
    expect((await factors.logIn(account)).status).toBe(200)
    expect(await factors.renewCodes(session)).toMatchObject({ status: 409, body: { code: 'users.no-second-factor' } })
    expect((await auditOf(session.body.user.id)).at(-2)?.action).toBe('users.remove-second-factor')
  })
})
