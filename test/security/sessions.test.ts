import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#platform/ids.ts'
import { bearer, expectInvalidToken, PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
})
afterAll(() => shop.close())

const list = (session: Sent, query = '') => shop.send('GET', `/v1/auth/sessions${query}`, undefined, bearer(session))
const end = (session: Sent, id = '') =>
  shop.send('DELETE', `/v1/auth/sessions${id && `/${id}`}`, undefined, bearer(session))
const currentOf = async (session: Sent): Promise<string> =>
  (await list(session)).body.data.find(({ current }: { current: boolean }) => current).id
const expectAlive = async (session: Sent) => expect((await people.me(session)).status).toBe(200)
async function expectEnded(session: Sent) {
  expectInvalidToken(await people.me(session))
  expect((await people.refresh(session.body.refreshToken)).status).toBe(401)
}
const reasons = async (session: Sent) =>
  (
    await sqlOf<{ reason: string }>(
      shop,
      `select revoked_for as reason from users.sessions where user_id = $1 and revoked_at is not null order by id`,
      session.body.user.id,
    )
  ).map(({ reason }) => reason)

describe('Session list / kill', () => {
  it('GET sessions own only: with times, address and device', async () => {
    await people.customer('b@list.example')
    const login = { email: 'a@list.example', password: PASSWORD }
    await people.register(login.email)
    const phone = await shop.send('POST', '/v1/auth/login', login, { 'user-agent': 'Phone 1' })
    const createdAt = shop.clock.now.toISOString()
    shop.clock.advance(5)
    const refreshed = await shop.send(
      'POST',
      '/v1/auth/refresh',
      { refreshToken: phone.body.refreshToken },
      { 'user-agent': 'Phone 2' },
    )
    const laptop = await shop.send('POST', '/v1/auth/login', login, { 'user-agent': '' })
    const now = shop.clock.now.toISOString()
    const id = expect.stringMatching(/^ses_/)
    const kept = (data: object[]) => ({ status: 200, body: { data, nextCursor: null } })
    const onLaptop = { id, createdAt: now, lastUsedAt: now, address: '127.0.0.1', device: null }
    const onPhone = { id, createdAt, lastUsedAt: now, address: '127.0.0.1', device: 'Phone 2' }
    expect(await list(refreshed)).toMatchObject(
      kept([
        { ...onLaptop, current: false },
        { ...onPhone, current: true },
      ]),
    )
    expect(await list(laptop)).toMatchObject(
      kept([
        { ...onLaptop, current: true },
        { ...onPhone, current: false },
      ]),
    )
    const first = await list(laptop, '?limit=1')
    const second = await list(laptop, `?limit=1&cursor=${encodeURIComponent(first.body.nextCursor)}`)
    expect([first, second].map(({ body }) => body.data[0].current)).toEqual([true, false])
    expect(second.body.nextCursor).toBeNull()
  })

  it('what has ended, by logout, age or idleness, is not listed', async () => {
    const before = shop.clock.now
    const ended = await people.customer('gone@list.example')
    await shop.send('POST', '/v1/auth/logout', undefined, bearer(ended))
    await people.logIn('gone@list.example')
    shop.clock.advance(30 * 24 * 60)
    const now = await people.logIn('gone@list.example')
    expect((await list(now)).body.data).toMatchObject([{ current: true }])
    shop.clock.now = before
  })

  it('DELETE other session id of B: 404, byte for byte that of one that is missing or has ended', async () => {
    const [a, b] = [await people.customer('a@kill.example'), await people.customer('b@kill.example')]
    const foreign = await currentOf(b)
    const gone = await people.logIn('a@kill.example')
    const goneId = await currentOf(gone)
    expect((await end(a, goneId)).status).toBe(204)
    const told = ({ status, body: { instance: _, ...body }, headers }: Sent) => ({
      status,
      body,
      type: headers['content-type'],
      length: headers['content-length'],
    })
    const [ofB, missing, ofOld] = [await end(a, foreign), await end(a, newId('ses')), await end(a, goneId)]
    expect(ofB).toMatchObject({ status: 404, body: { code: 'users.session-not-found' } })
    expect(told(ofB)).toEqual(told(missing))
    expect(told(ofB)).toEqual(told(ofOld))
    await expectAlive(b)
    expect((await people.refresh(b.body.refreshToken)).status).toBe(200)
  })

  it('DELETE one of my own ends it at once, and no other; it leaves an audit row and an event', async () => {
    const here = await people.customer('one@kill.example')
    const [lost, third] = [await people.logIn('one@kill.example'), await people.logIn('one@kill.example')]
    const id = await currentOf(lost)
    expect((await end(here, id)).status).toBe(204)
    await expectEnded(lost)
    await expectAlive(here)
    await expectAlive(third)
    expect((await end(third, await currentOf(third))).status).toBe(204)
    await expectEnded(third)
    expect(await reasons(here)).toEqual(['ended-elsewhere', 'logout'])
    const userId = here.body.user.id
    expect(await sqlOf(shop, 'select actor_id, after from platform.audit_log where subject = $1', id)).toEqual([
      { actor_id: userId, after: { userId, reason: 'ended-elsewhere' } },
    ])
    const events = await sqlOf<{ data: object }>(
      shop,
      `select data from platform.events where type = 'users.session-revoked.v1' and subject = $1 order by id`,
      userId,
    )
    expect(events[0]).toEqual({ data: { userId, sessionId: id, reason: 'ended-elsewhere' } })
    expect(events).toHaveLength(2)
  })

  it('DELETE sessions ends all of mine, this one included, and nobody else’s', async () => {
    const b = await people.customer('b@everywhere.example')
    const here = await people.customer('a@everywhere.example')
    const others = await Promise.all([1, 2, 3].map(() => people.logIn('a@everywhere.example')))
    expect((await end(here)).status).toBe(204)
    for (const session of [here, ...others]) await expectEnded(session)
    expect((await reasons(here)).sort()).toEqual(['ended-elsewhere', 'ended-elsewhere', 'ended-elsewhere', 'logout'])
    await expectAlive(b)
    await expectAlive(await people.logIn('a@everywhere.example'))
  })

  it('password change ends others', async () => {
    const here = await people.customer('changes@kill.example')
    const other = await people.logIn('changes@kill.example')
    const change = { currentPassword: PASSWORD, password: 'quite another horse of mine' }
    expect(await shop.send('POST', '/v1/users/me/password', change, bearer(here))).toMatchObject({ status: 204 })
    await expectAlive(here)
    await expectEnded(other)
    expect((await list(here)).body.data).toHaveLength(1)
  })

  it('a refresh that races the end of its session leaves no live token behind', async () => {
    const here = await people.customer('race@kill.example')
    for (let round = 0; round < 10; round += 1) {
      const other = await people.logIn('race@kill.example')
      const id = await currentOf(other)
      const [refreshed, ended] = await Promise.all([people.refresh(other.body.refreshToken), end(here, id)])
      expect(ended.status).toBe(204)
      if (refreshed.status === 200) await expectEnded(refreshed)
      await expectEnded(other)
    }
  })
})
