import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { factorsOf } from '../contexts/users/factors.ts'
import { PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
let factors: ReturnType<typeof factorsOf>
beforeAll(async () => {
  shop = await testShop({ RATE_LIMITS: 'on' })
  people = peopleOf(shop)
  factors = factorsOf(shop)
})
afterAll(() => shop?.close())

const stale = { status: 403, body: { code: 'users.reauthentication-required' } }

describe('Change needs current; re-auth', () => {
  test('a second factor is changed only ten minutes after the password was shown, whatever is refreshed', async () => {
    const session = await people.customer('late@shop.example')
    shop.clock.advance(9)
    expect((await factors.start(session)).status).toBe(200)
    shop.clock.advance(1.1)
    const refreshed = await people.refresh(session.body.refreshToken)
    expect(await factors.start(refreshed)).toMatchObject(stale)
    expect(await factors.renewCodes(refreshed)).toMatchObject(stale)
    expect(await factors.remove(refreshed)).toMatchObject(stale)
    expect((await factors.reauthenticate(refreshed, { password: PASSWORD })).status).toBe(204)
    expect((await factors.start(refreshed)).status).toBe(200)
  })

  test('a wrong password proves nothing, and is counted for this session alone', async () => {
    const session = await people.customer('wrong@shop.example')
    const other = await people.logIn('wrong@shop.example')
    shop.clock.advance(10.1)
    const [mine, others] = [
      await people.refresh(session.body.refreshToken),
      await people.refresh(other.body.refreshToken),
    ]
    for (let time = 1; time <= 10; time += 1)
      expect(await factors.reauthenticate(mine, { password: 'not this one' })).toMatchObject({
        status: 401,
        body: { code: 'users.wrong-credentials' },
      })
    expect(await factors.start(mine)).toMatchObject(stale)
    expect((await factors.reauthenticate(mine, { password: PASSWORD })).status).toBe(429)
    expect((await factors.reauthenticate(others, { password: PASSWORD })).status).toBe(204)
    expect((await people.logIn('wrong@shop.example')).status).toBe(200)
  })

  test('with a second factor it takes that too, each code once', async () => {
    const session = await people.customer('both@shop.example')
    const { secret } = await factors.enrol(session)
    shop.clock.advance(8)
    expect(await factors.reauthenticate(session, { password: PASSWORD })).toMatchObject({
      status: 401,
      body: { code: 'users.second-factor-required' },
    })
    const code = factors.codeOf(secret)
    const answers = await Promise.all(
      [code, code].map((one) => factors.reauthenticate(session, { password: PASSWORD, code: one })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 401])
    shop.clock.advance(9)
    const refreshed = await people.refresh(session.body.refreshToken)
    expect((await factors.renewCodes(refreshed)).status).toBe(200)
    shop.clock.advance(1.1)
    expect(await factors.renewCodes(refreshed)).toMatchObject(stale)
  })

  test('leaves a trace of what was right and wrong', async () => {
    const session = await people.customer('traced@shop.example')
    await factors.reauthenticate(session, { password: 'not this one' })
    await factors.reauthenticate(session, { password: PASSWORD })
    const rows = await sqlOf(
      shop,
      `select actor_id, action, after from platform.audit_log where subject = $1 order by id`,
      session.body.user.id,
    )
    const by = { actor_id: session.body.user.id }
    expect(rows).toEqual([
      { actor_id: null, action: 'users.log-in', after: { secondFactor: null } },
      { ...by, action: 'users.reauthenticate-failed', after: { reason: 'password' } },
      { ...by, action: 'users.reauthenticate', after: { secondFactor: null } },
    ])
  })

  test('is for whoever is logged in', async () => {
    expect(await shop.send('POST', '/v1/auth/reauthentication', { password: PASSWORD })).toMatchObject({ status: 401 })
  })
})
