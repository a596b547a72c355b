import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { audit } from '#src/audit/audit.ts'
import { expectInvalidToken, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { sized } from '../kit/chaos.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'
import { verdict } from '../kit/verdict.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
let start: Date
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
})
afterAll(() => shop.close())
beforeEach(() => {
  start = shop.clock.now
})
afterEach(async () => {
  shop.clock.now = start
  expect((await oracles()).filter(({ violations }) => violations.length > 0)).toEqual([])
})

const oracles = async () =>
  (await audit(shop.app.database.db, { consumers: [], now: shop.clock.now, all: true })).filter(
    ({ id }) => id === 'O13',
  )
const SECOND = 1 / 60
const DAY = 24 * 60
const hashOf = (token: string) => createHash('sha256').update(token).digest()
const tokenOf = (session: Sent): string => session.body.refreshToken
const isInvalidRefresh = ({ status, body }: Sent) => status === 401 && body.code === 'users.invalid-refresh-token'
const expectInvalidRefresh = (answer: Sent) =>
  expect(answer).toMatchObject({ status: 401, body: { code: 'users.invalid-refresh-token' } })

/** The family of a refresh token: what is kept of its session, and its tokens, the live one last. */
async function familyOf(token: string) {
  const [session] = await sqlOf<{ id: string; revoked_at: Date | null; revoked_for: string | null }>(
    shop,
    `select s.id, s.revoked_at, s.revoked_for from users.sessions s join users.refresh_tokens t on t.session_id = s.id
    where t.hash = $1`,
    hashOf(token),
  )
  const tokens = await sqlOf<{ hash: Buffer; used_at: Date | null; successor: Buffer | null }>(
    shop,
    `select hash, used_at, successor from users.refresh_tokens where session_id = $1 order by used_at nulls last`,
    session?.id,
  )
  return { session: session!, tokens, live: tokens.filter(({ used_at }) => used_at === null) }
}

describe('Refresh rotation', () => {
  it('each token works once and gives the next', async () => {
    const first = await people.customer('rotation@shop.example')
    const second = await people.refresh(tokenOf(first))
    expect(second).toMatchObject({ status: 200, body: { user: first.body.user, expiresIn: 600 } })
    expect(tokenOf(second)).not.toBe(tokenOf(first))
    expect((await people.me(second)).status).toBe(200)
    expect((await people.refresh(tokenOf(second))).status).toBe(200)
  })

  it('twenty refreshes at once: all get one and the same successor, and one is live', async () => {
    const rounds = sized(2, 20)
    const violations: string[] = []
    for (let round = 0; round < rounds; round += 1) {
      const session = await people.customer(`parallel-${round}@shop.example`)
      const answers = await Promise.all(Array.from({ length: 20 }, () => people.refresh(tokenOf(session))))
      const [successor = '', ...others] = [...new Set(answers.map(tokenOf))]
      if (others.length > 0) violations.push(`They got ${others.length + 1} successors`)
      for (const answer of answers) {
        if (answer.status !== 200) violations.push(`One was answered ${answer.status}`)
        else if ((await people.me(answer)).status !== 200) violations.push('One got tokens that are worth nothing')
      }
      const { live, tokens } = await familyOf(tokenOf(session))
      if (tokens.length !== 2) violations.push(`There are ${tokens.length} tokens instead of 2`)
      expect(live.map(({ hash }) => hash)).toEqual([hashOf(successor)])
      if ((await people.refresh(successor)).status !== 200) violations.push('The successor does not work')
    }
    verdict({ promise: 'P16', tried: 'refreshes with one token, twenty at once', n: rounds * 20, violations })
  })

  it('an answer that was lost is given again to who asks within thirty seconds', async () => {
    const rounds = sized(2, 50)
    const violations: string[] = []
    for (let round = 0; round < rounds; round += 1) {
      const session = await people.customer(`lost-${round}@shop.example`)
      const lost = await people.refresh(tokenOf(session))
      shop.clock.advance(30 * SECOND)
      const again = await people.refresh(tokenOf(session))
      if (again.status !== 200 || tokenOf(again) !== tokenOf(lost))
        violations.push(`Asking again was answered ${again.status}`)
      const next = await people.refresh(tokenOf(again))
      if (next.status !== 200 || (await people.me(next)).status !== 200)
        violations.push(`The next refresh was answered ${next.status}`)
    }
    verdict({ promise: 'P16', tried: 'refreshes whose answer was lost, asked again', n: rounds, violations })
  })

  it.each([
    ['after thirty seconds', 31 * SECOND, 0],
    ['once its successor is used', 0, 1],
    ['generations later', 0, 3],
  ])('a used token that comes back %s ends the session for everybody, at once', async (what, minutes, refreshes) => {
    const first = await people.customer(`reuse-${refreshes}-${what.length}@shop.example`)
    let last = await people.refresh(tokenOf(first))
    for (let count = 0; count < refreshes; count += 1) last = await people.refresh(tokenOf(last))
    shop.clock.advance(minutes)
    expect((await people.me(last)).status).toBe(200)
    expectInvalidRefresh(await people.refresh(tokenOf(first)))
    const violations: string[] = []
    for (const [whose, tokens] of Object.entries({ thief: first, owner: last })) {
      const [me, refreshed] = [await people.me(tokens), await people.refresh(tokenOf(tokens))]
      if (me.body?.code !== 'users.invalid-token') violations.push(`The ${whose}'s access token still works`)
      if (!isInvalidRefresh(refreshed)) violations.push(`The ${whose} can still refresh`)
    }
    verdict({ promise: 'P16', tried: `requests with what a family has, a used token back ${what}`, n: 4, violations })
    const { session, live } = await familyOf(tokenOf(first))
    expect(session).toMatchObject({ revoked_for: 'refresh-reuse', revoked_at: shop.clock.now })
    expect(live).toEqual([])
    const { id: userId } = first.body.user
    const data = { userId, sessionId: session.id, reason: 'refresh-reuse' }
    const events = await sqlOf(
      shop,
      `select type, data from platform.events where subject = $1 and type like 'users.session%'`,
      userId,
    )
    expect(events).toEqual([{ type: 'users.session-revoked.v1', data }])
    const rows = await sqlOf(
      shop,
      `select action, after, actor_kind from platform.audit_log where subject = $1`,
      session.id,
    )
    expect(rows).toEqual([
      { action: 'users.session-revoked', after: { userId, reason: 'refresh-reuse' }, actor_kind: 'guest' },
    ])
  })

  it('twenty thieves at once end it once, and other sessions go on', async () => {
    const session = await people.customer('thieves@shop.example')
    const other = await people.logIn('thieves@shop.example')
    const owners = await people.refresh(tokenOf(await people.refresh(tokenOf(session))))
    const answers = await Promise.all(Array.from({ length: 20 }, () => people.refresh(tokenOf(session))))
    answers.push(await people.refresh(tokenOf(owners)))
    const violations = answers
      .filter((answer) => !isInvalidRefresh(answer))
      .map(({ status }) => `One was answered ${status}`)
    verdict({ promise: 'P16', tried: 'replays of a used token, twenty at once', n: answers.length, violations })
    const { session: ended } = await familyOf(tokenOf(session))
    const told = await sqlOf(shop, `select 1 from platform.audit_log where subject = $1`, ended.id)
    expect(told).toHaveLength(1)
    expect((await people.me(other)).status).toBe(200)
    expect((await people.refresh(tokenOf(other))).status).toBe(200)
  })

  it('a refresh that races a logout leaves no live token behind', async () => {
    for (let round = 0; round < 10; round += 1) {
      const session = await people.customer('race@shop.example')
      const refreshToken = tokenOf(session)
      const logOut = () => shop.send('POST', '/v1/auth/logout', { refreshToken })
      const [refreshed] = await Promise.all([people.refresh(refreshToken), logOut()])
      expect((await familyOf(refreshToken)).live).toEqual([])
      if (refreshed.status === 200) expectInvalidToken(await people.me(refreshed))
      expectInvalidRefresh(await people.refresh(refreshToken))
    }
  })

  it('a logout that comes while a refresh is halfway takes its successor along', async () => {
    const refreshToken = tokenOf(await people.customer('halfway@shop.example'))
    const holder = new pg.Client({ connectionString: shop.ownerUrl })
    await holder.connect()
    await holder.query('begin')
    await holder.query('select 1 from users.refresh_tokens where hash = $1 for update', [hashOf(refreshToken)])
    const waiting = async (count: number) => {
      const locks = `select distinct l.pid from pg_locks l join pg_stat_activity a using (pid)
        where a.datname = current_database() and not l.granted`
      while ((await sqlOf(shop, locks)).length < count) await pause(5)
    }
    const refreshing = people.refresh(refreshToken)
    await waiting(1)
    const leaving = shop.send('POST', '/v1/auth/logout', { refreshToken })
    await waiting(2)
    await holder.query('commit')
    await holder.end()
    const [refreshed, left] = await Promise.all([refreshing, leaving])
    expect([refreshed.status, left.status]).toEqual([200, 204])
    expectInvalidToken(await people.me(refreshed))
    const { live, tokens } = await familyOf(refreshToken)
    expect([live, tokens.length]).toEqual([[], 2])
  })

  it('a session that ended with its account does not come back when that is enabled again', async () => {
    const session = await people.customer('enabled@shop.example')
    const owner = await shop.asOwner()
    const url = `/v1/users/${session.body.user.id}`
    for (const disabled of [true, false]) {
      const { headers } = await shop.send('GET', url, undefined, owner)
      const changed = await shop.send('PATCH', url, { disabled }, { ...owner, 'if-match': String(headers.etag) })
      expect(changed.body).toMatchObject({ disabled })
      expectInvalidToken(await people.me(session))
      expectInvalidRefresh(await people.refresh(tokenOf(session)))
    }
    expect((await familyOf(tokenOf(session))).session).toMatchObject({ revoked_for: 'disabled' })
    expect((await people.me(await people.logIn('enabled@shop.example'))).status).toBe(200)
  })

  it('idle for thirty days, or ninety days old whatever is done: 401', async () => {
    let session = await people.customer('ages@shop.example')
    const idle = await people.logIn('ages@shop.example')
    for (const days of [29, 29, 29]) {
      shop.clock.advance(days * DAY)
      session = await people.refresh(tokenOf(session))
      expect(session.status).toBe(200)
    }
    expectInvalidRefresh(await people.refresh(tokenOf(idle)))
    shop.clock.advance(3 * DAY - 10)
    session = await people.refresh(tokenOf(session))
    expect(session.status).toBe(200)
    shop.clock.advance(10)
    expectInvalidRefresh(await people.refresh(tokenOf(session)))
    expectInvalidToken(await people.me(session))
    const kept = () => sqlOf(shop, `select 1 from users.sessions where user_id = $1`, session.body.user.id)
    expect(await kept()).toHaveLength(2)
    shop.clock.advance(1)
    await shop.app.contexts.users.tasks['users.forget-ended']()
    expect(await kept()).toHaveLength(0)
  })

  it('what was never one, and what was one long ago: 401, and nobody is logged out', async () => {
    const session = await people.customer('never@shop.example')
    for (const token of ['x', 'unknown', session.body.accessToken.slice(0, 200), tokenOf(session).toUpperCase()])
      expectInvalidRefresh(await people.refresh(token))
    expect((await people.me(session)).status).toBe(200)
  })

  it('neither the database nor the keys alone tell a successor: it is sealed with the token that was used', async () => {
    const session = await people.customer('sealed@shop.example')
    const next = tokenOf(await people.refresh(tokenOf(session)))
    const [used] = (await familyOf(next)).tokens
    const { encryption } = shop.app
    expect(used!.successor!.includes(next)).toBe(false)
    expect(() => encryption.openBytes(used!.successor!, next)).toThrow()
    expect(() => encryption.openBytes(used!.successor!, used!.hash.toString('base64url'))).toThrow()
    expect(encryption.openBytes(used!.successor!, tokenOf(session)).toString()).toBe(next)
  })

  it('takes two round trips', async () => {
    const session = await people.customer('trips@shop.example')
    const { database } = shop.app
    const trips = async (token: string) => {
      // Other processes are told of events 50 ms after a commit, which would be counted here.
      await pause(100)
      const before = database.statements()
      const answer = await people.refresh(token)
      expect(answer.status).toBe(200)
      return database.statements() - before
    }
    expect(await trips(tokenOf(session))).toBe(2)
    expect(await trips(tokenOf(session))).toBe(1)
  })
})
