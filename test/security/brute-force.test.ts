import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop({ RATE_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1' })
  people = peopleOf(shop)
})
afterAll(() => shop?.close())
/** What counted within a time in one test is over in the next. */
beforeEach(() => shop.clock.advance(61))

type Ask = { password?: string; deviceToken?: string; from?: string }
const logIn = (email: string, { password = PASSWORD, deviceToken, from = '192.0.2.1' }: Ask = {}) =>
  shop.send(
    'POST',
    '/v1/auth/login',
    { email, password, ...(deviceToken === undefined ? {} : { deviceToken }) },
    { 'x-forwarded-for': from },
  )
const wrong = { password: 'not this one at all' }
async function fail(times: number, email: string, ask: Ask = {}) {
  for (let time = 1; time <= times; time += 1)
    expect(await logIn(email, { ...ask, ...wrong })).toMatchObject({
      status: 401,
      body: { code: 'users.wrong-credentials' },
    })
}
const tooMany = { status: 429, body: { code: 'users.too-many-attempts' } }
const address = (number: number) => `198.51.${Math.floor(number / 250)}.${(number % 250) + 1}`
/** As if so many had failed before, in a row. */
const haveFailed = (email: string, failures: number) =>
  sqlOf(
    shop,
    `insert into users.failed_logins (key, failures, last_at)
      select email_index, $2, now() from users.users where id = $1
      on conflict (key) do update set failures = excluded.failures`,
    idOf.get(email),
    failures,
  )
const idOf = new Map<string, string>()
async function customer(name: string) {
  const email = `${name}@shop.example`
  const { body } = await people.customer(email)
  idOf.set(email, body.user.id)
  return { email, deviceToken: body.deviceToken as string }
}

describe('Brute force', () => {
  test('an account takes 10 failures from one address in 15 minutes; others and other addresses go on', async () => {
    const [{ email }, other] = [await customer('ten'), await customer('other')]
    await fail(10, email)
    const refused = await logIn(email)
    expect(refused).toMatchObject(tooMany)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(890)
    expect((await logIn(email, { from: '192.0.2.2' })).status).toBe(200)
    expect((await logIn(other.email)).status).toBe(200)
    shop.clock.advance(15.1)
    expect((await logIn(email)).status).toBe(200)
  })

  test('an IPv6 address counts with its /64', async () => {
    const { email } = await customer('six')
    for (let host = 1; host <= 10; host += 1) await fail(1, email, { from: `2001:db8:1:2::${host}` })
    expect(await logIn(email, { from: '2001:db8:1:2:ffff::1' })).toMatchObject(tooMany)
    expect((await logIn(email, { from: '2001:db8:1:3::1' })).status).toBe(200)
  })

  test('of 30 at once 10 are told that it is wrong', async () => {
    const { email } = await customer('thirty')
    const answers = await Promise.all(Array.from({ length: 30 }, () => logIn(email, wrong)))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(10)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20)
  })

  test('a success makes the account’s failures forgotten', async () => {
    const { email } = await customer('nine')
    await fail(9, email)
    expect((await logIn(email)).status).toBe(200)
    await fail(10, email)
    expect(await logIn(email)).toMatchObject(tooMany)
  })

  test('an address takes 100 failures an hour, over whatever accounts', async () => {
    const { email } = await customer('sprayed')
    for (let number = 0; number < 100; number += 1) {
      await fail(1, `nobody-${number}@shop.example`)
      shop.clock.advance(0.05)
    }
    expect(await logIn(email)).toMatchObject(tooMany)
    expect((await logIn(email, { from: '192.0.2.3' })).status).toBe(200)
    shop.clock.advance(60.1)
    expect((await logIn(email)).status).toBe(200)
  }, 60_000)

  test('100 failures in a row, however slow and from wherever, shut strangers out; the victim logs in from a known device', async () => {
    const { email, deviceToken } = await customer('victim')
    await haveFailed(email, 98)
    await fail(1, email, { from: address(1) })
    expect((await logIn(email, { from: address(2) })).status).toBe(200)
    // That success broke the row: it begins anew.
    await fail(1, email, { from: address(3) })
    expect((await logIn(email, { from: address(3) })).status).toBe(200)
    await haveFailed(email, 99)
    await fail(1, email, { from: address(3) })
    shop.clock.advance(7 * 24 * 60)
    expect(await logIn(email, { from: address(4) })).toMatchObject(tooMany)
    expect((await logIn(email, { from: address(5), deviceToken })).status).toBe(200)
    expect((await logIn(email, { from: address(6) })).status).toBe(200)
  })

  test('a password that was reset by mail lets strangers in again', async () => {
    const { email } = await customer('reset')
    await haveFailed(email, 100)
    expect(await logIn(email)).toMatchObject(tooMany)
    await shop.send('POST', '/v1/auth/forgot-password', { email })
    await shop.app.settle()
    await shop.app.runJobs()
    const { body: mails } = await shop.send('GET', '/dev/mailbox.json')
    const texts = mails.filter(({ to }: { to: string }) => to === email).map(({ text }: { text: string }) => text)
    const [, token] = /reset-password#token=([\w-]+)/.exec(texts.join())!
    const password = 'another horse of that colour'
    expect((await shop.send('POST', '/v1/auth/reset-password', { token, password })).status).toBe(204)
    expect((await logIn(email, { password })).status).toBe(200)
  })

  test('a guess that was under way when the hundredth failed is no longer let in', async () => {
    const { email } = await customer('racing')
    await haveFailed(email, 96)
    const guesses = Array.from({ length: 20 }, (_, number) =>
      logIn(email, { from: address(number), password: number === 19 ? PASSWORD : `guess number ${number}` }),
    )
    const answers = await Promise.all(guesses)
    expect(answers.map(({ status }) => status)).not.toContain(200)
  })

  test('a known device has a bucket of its own: strangers do not fill it, and it does not fill theirs', async () => {
    const { email, deviceToken } = await customer('known')
    await fail(10, email)
    expect(await logIn(email)).toMatchObject(tooMany)
    expect((await logIn(email, { deviceToken })).status).toBe(200)
    await fail(10, email, { deviceToken })
    expect(await logIn(email, { deviceToken })).toMatchObject(tooMany)
    expect((await logIn(email, { from: '192.0.2.4' })).status).toBe(200)
  })

  test('a device is known to its own user, for 90 days, by a token that nobody can make', async () => {
    const [{ email, deviceToken }, other] = [await customer('device'), await customer('stranger')]
    await haveFailed(email, 100)
    const [nonce, end, mac] = deviceToken.split('.') as [string, string, string]
    for (const forged of [
      other.deviceToken,
      `${nonce}.${Number(end) + 1}.${mac}`,
      `${nonce}.${end}.${'A'.repeat(43)}`,
      '',
    ])
      expect(await logIn(email, { deviceToken: forged })).toMatchObject(tooMany)
    shop.clock.advance(89 * 24 * 60)
    expect((await logIn(email, { deviceToken })).status).toBe(200)
    await haveFailed(email, 100)
    shop.clock.advance(2 * 24 * 60)
    expect(await logIn(email, { deviceToken })).toMatchObject(tooMany)
  })

  test('an e-mail without an account gets the same answers', async () => {
    const { email } = await customer('real')
    const told = async (of: string, from: string) => {
      const answers = []
      for (let time = 1; time <= 12; time += 1) answers.push(await logIn(of, { ...wrong, from }))
      return answers.map(({ status, text, headers }) => ({
        status,
        text: text.replace(/"instance":"[^"]*"/, ''),
        headers: Object.keys(headers).sort(),
        retryAfter: headers['retry-after'],
      }))
    }
    expect(await told('nobody@shop.example', '192.0.2.5')).toEqual(await told(email, '192.0.2.6'))
    await haveFailed(email, 100)
    const nobody = 'never.seen@shop.example'
    await fail(1, nobody, { from: '192.0.2.9' })
    await sqlOf(
      shop,
      `update users.failed_logins set failures = 100 where not exists (select from users.users where email_index = key)`,
    )
    const [known, unknown] = [await logIn(email, { from: '192.0.2.7' }), await logIn(nobody, { from: '192.0.2.7' })]
    expect(unknown).toMatchObject(tooMany)
    expect({ ...unknown.body, instance: '' }).toEqual({ ...known.body, instance: '' })
    expect(unknown.headers['retry-after']).toBe(known.headers['retry-after'])
  })

  test('success and failure leave an audit row and a line, with no e-mail', async () => {
    const told = [vi.spyOn(shop.app.log, 'info'), vi.spyOn(shop.app.log, 'warn')] as const
    const { email } = await customer('logged')
    await fail(1, email, { from: '192.0.2.8' })
    await fail(1, 'no.such@shop.example', { from: '192.0.2.8' })
    const [infos, warnings] = told.map(({ mock }) => mock.calls.map(([line]) => line as unknown as object))
    vi.restoreAllMocks()
    const requestId = expect.stringMatching(/^[\w-]{36}$/)
    expect(infos?.filter((line) => 'action' in line)).toEqual([
      { requestId, actor: idOf.get(email), action: 'users.log-in', reason: undefined },
    ])
    const failed = { requestId, action: 'users.log-in-failed', reason: 'users.wrong-credentials' }
    expect(warnings).toEqual([
      { ...failed, actor: idOf.get(email) },
      { ...failed, actor: 'unknown' },
    ])
    const rows = await sqlOf<{ action: string; subject: string; after: object; address: Buffer }>(
      shop,
      `select action, subject, after, address from platform.audit_log order by id desc limit 3`,
    )
    expect(rows.map(({ action, subject, after }) => ({ action, subject, after }))).toEqual([
      { action: 'users.log-in-failed', subject: 'unknown', after: { reason: 'password' } },
      { action: 'users.log-in-failed', subject: idOf.get(email), after: { reason: 'password' } },
      { action: 'users.log-in', subject: idOf.get(email), after: { secondFactor: null } },
    ])
    expect(rows.every(({ address }) => address.length > 0)).toBe(true)
  })

  test('takes two statements, whatever comes of it', async () => {
    const { email, deviceToken } = await customer('statements')
    for (const ask of [{}, { deviceToken }, wrong]) expect(await statementsOf(() => logIn(email, ask))).toBe(2)
    expect(await statementsOf(() => logIn('no.one@shop.example', wrong))).toBe(2)
  })

  test('what was counted for nobody and for devices is forgotten after 90 days, for accounts it is not', async () => {
    const { email } = await customer('lasting')
    await haveFailed(email, 50)
    const nobody = createHash('sha256').update('nobody').digest()
    await sqlOf(
      shop,
      'insert into users.failed_logins (key, failures, last_at) values ($1, 7, $2)',
      nobody,
      shop.clock.now,
    )
    shop.clock.advance(91 * 24 * 60)
    await shop.app.contexts.users.tasks['users.forget-ended']()
    const kept = await sqlOf<{ failures: number }>(
      shop,
      `select failures from users.failed_logins where key = $1
      or key = (select email_index from users.users where id = $2)`,
      nobody,
      idOf.get(email),
    )
    expect(kept).toEqual([{ failures: 50 }])
  })
})

/** How many statements the service runs for this. */
async function statementsOf(run: () => Promise<unknown>): Promise<number> {
  // Other processes are told of events 50 ms after a commit, which would be counted here.
  await new Promise((resolve) => setTimeout(resolve, 100))
  const { statements } = shop.app.database
  const before = statements()
  await run()
  return statements() - before
}
