import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allRoutes } from '#platform/http/routes.ts'
import { PERMISSIONS } from '../../../src/contexts/users/domain/roles.ts'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { bearer, expectInvalidToken, PASSWORD, peopleOf } from './people.ts'
import { sqlOf } from './sql.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
let owner: { email: string; password: string }
let firstRuns: (typeof owner | undefined)[]
let boss: Sent
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
  firstRuns = await Promise.all([people.createOwner(), people.createOwner(), people.createOwner()])
  owner = firstRuns.find((made) => made !== undefined)!
  boss = await people.logIn(owner.email, owner.password)
})
afterAll(() => shop.close())

describe('staff', () => {
  it('has one owner from the first run on, also when three processes start at once', async () => {
    expect(owner).toEqual({ email: 'owner@shop.example', password: expect.stringMatching(/^[\w-]{20}$/) })
    expect(firstRuns.filter((made) => made !== undefined)).toEqual([owner])
    expect(await people.createOwner()).toBeUndefined()
    const session = await people.logIn(owner.email, owner.password)
    expect(session.body.user.roles).toEqual(['owner'])
  })

  it.each([
    'GET /v1/users',
    'POST /v1/users',
    'GET /v1/roles',
    'GET /v1/users/usr_01jd2zq8k5e6v9w3x7y2m4n6p8',
    'PATCH /v1/users/usr_01jd2zq8k5e6v9w3x7y2m4n6p8',
  ])('%s is for staff', async (route) => {
    const [method, url] = route.split(' ') as ['GET', string]
    expect(await shop.send(method, url)).toMatchObject({ status: 401, body: { code: 'platform.unauthenticated' } })
    const session = await people.customer('outsider@shop.example')
    expect(await shop.send(method, url, undefined, bearer(session))).toMatchObject({
      status: 403,
      body: { code: 'platform.forbidden' },
    })
  })

  it('is made by those who have the rights they give', async () => {
    const admin = await people.staff(boss, 'admin@shop.example', ['admin'])
    const make = (roles: unknown, change: object = {}) =>
      shop.send(
        'POST',
        '/v1/users',
        { email: 'new.staff@shop.example', password: PASSWORD, name: 'New', roles, ...change },
        bearer(admin.session),
      )
    expect(await make(['owner'])).toMatchObject({ status: 403, body: { code: 'users.cannot-grant' } })
    expect(await make(['support', 'owner'])).toMatchObject({ status: 403 })
    expect(await make(['customer'])).toMatchObject({ status: 422 })
    expect(await make(['god'])).toMatchObject({ status: 422 })
    expect(await make([])).toMatchObject({ status: 422 })
    expect(await make(['support'], { password: 'fourteen chars' })).toMatchObject({
      status: 422,
      body: { code: 'users.weak-password' },
    })
    const made = await make(['finance', 'support'])
    expect(made).toMatchObject({
      status: 201,
      body: { roles: ['finance', 'support'] },
      headers: { location: `/v1/users/${made.body.id}` },
    })
    expect(await make(['support'])).toMatchObject({ status: 409, body: { code: 'users.email-taken' } })
    const audit = await sqlOf(
      shop,
      `select actor_id, action, before, after from platform.audit_log where subject = $1`,
      made.body.id,
    )
    expect(audit).toEqual([
      { actor_id: admin.id, action: 'users.create-staff', before: null, after: { roles: ['finance', 'support'] } },
    ])
  })

  it('loses a role, and an account its sessions, on the next request', async () => {
    const clerk = await people.staff(boss, 'clerk@shop.example', ['admin'])
    const read = () => shop.send('GET', '/v1/users', undefined, bearer(clerk.session))
    const change = async (body: object, id = clerk.id) => {
      const { headers } = await shop.send('GET', `/v1/users/${id}`, undefined, bearer(boss))
      return shop.send('PATCH', `/v1/users/${id}`, body, { ...bearer(boss), 'if-match': String(headers.etag) })
    }
    expect((await read()).status).toBe(200)
    expect((await change({ roles: ['catalogue'] })).body.roles).toEqual(['catalogue'])
    expect(await read()).toMatchObject({ status: 403 })
    expect((await change({ disabled: true })).body.disabled).toBe(true)
    expectInvalidToken(await read())
    expect((await people.refresh(clerk.session.body.refreshToken)).status).toBe(401)
    expect((await people.logIn('clerk@shop.example')).status).toBe(401)
    expect((await change({ disabled: false })).body.disabled).toBe(false)
    expect((await people.logIn('clerk@shop.example')).status).toBe(200)
    const audit = await sqlOf(
      shop,
      `select before, after from platform.audit_log where subject = $1 and action = 'users.change-account' order by id`,
      clerk.id,
    )
    expect(audit).toEqual([
      { before: { roles: ['admin'], disabled: false }, after: { roles: ['catalogue'], disabled: false } },
      { before: { roles: ['catalogue'], disabled: false }, after: { roles: ['catalogue'], disabled: true } },
      { before: { roles: ['catalogue'], disabled: true }, after: { roles: ['catalogue'], disabled: false } },
    ])
  })

  it('cannot outrank, nor remove the last owner, nor make staff of a customer', async () => {
    const admin = await people.staff(boss, 'admin2@shop.example', ['admin'])
    const patch = (id: string, body: object, session: Sent, version = '"1"') =>
      shop.send('PATCH', `/v1/users/${id}`, body, { ...bearer(session), 'if-match': version })
    const ownerId = boss.body.user.id
    expect(await patch(ownerId, { disabled: true }, admin.session)).toMatchObject({
      status: 403,
      body: { code: 'users.cannot-grant' },
    })
    expect(await patch(admin.id, { roles: ['owner'] }, admin.session)).toMatchObject({ status: 403 })
    expect(await patch(ownerId, { roles: ['support'] }, boss)).toMatchObject({
      status: 409,
      body: { code: 'users.last-owner' },
    })
    expect(await patch(ownerId, { disabled: true }, boss)).toMatchObject({
      status: 409,
      body: { code: 'users.last-owner' },
    })
    const { body } = await people.customer('promoted@shop.example')
    expect(await patch(body.user.id, { roles: ['support'] }, boss)).toMatchObject({
      status: 409,
      body: { code: 'users.not-staff' },
    })
    const second = await people.staff(boss, 'owner2@shop.example', ['owner'])
    const both = await Promise.all([
      patch(ownerId, { roles: ['support'] }, second.session),
      patch(second.id, { roles: ['support'] }, boss),
    ])
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1)
    const owners = await sqlOf<{ id: string }>(
      shop,
      `select id from users.users where 'owner' = any(roles) and disabled_at is null`,
    )
    expect(owners).toHaveLength(1)
    if (owners[0]?.id !== ownerId) await sqlOf(shop, `update users.users set roles = '{owner}' where id = $1`, ownerId)
  })

  it('changes what it has seen: If-Match', async () => {
    const clerk = await people.staff(boss, 'seen@shop.example', ['support'])
    const patch = (headers: object) =>
      shop.send('PATCH', `/v1/users/${clerk.id}`, { roles: ['finance'] }, { ...bearer(boss), ...headers })
    expect(await patch({})).toMatchObject({ status: 428, body: { code: 'platform.precondition-required' } })
    expect(await patch({ 'if-match': '"7"' })).toMatchObject({ status: 412, body: { code: 'platform.stale' } })
    expect(await patch({ 'if-match': 'W/"0"' })).toMatchObject({ status: 412 })
    expect(await patch({ 'if-match': '"1"' })).toMatchObject({ status: 200, headers: { etag: '"2"' } })
    expect(await patch({ 'if-match': '"1"' })).toMatchObject({ status: 412 })
  })

  it('lists accounts in pages, by kind and by e-mail', async () => {
    const list = (query: string) => shop.send('GET', `/v1/users?${query}`, undefined, bearer(boss))
    await people.customer('listed@shop.example')
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body }: Sent = await list(`limit=2${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      expect(body.data.length).toBeLessThanOrEqual(2)
      seen.push(...body.data.map(({ id }: { id: string }) => id))
      cursor = body.nextCursor
    }
    const everybody = await sqlOf(shop, 'select id from users.users')
    expect(seen).toHaveLength(everybody.length)
    expect([...seen].sort().reverse()).toEqual(seen)
    expect((await list('email=LISTED@shop.example')).body.data).toMatchObject([{ email: 'listed@shop.example' }])
    expect((await list('email=listed')).body.data).toEqual([])
    const kinds = async (kind: string) =>
      (await list(`limit=100&kind=${kind}`)).body.data.map(({ roles }: { roles: string[] }) =>
        roles.includes('customer'),
      )
    expect(new Set(await kinds('staff'))).toEqual(new Set([false]))
    expect(new Set(await kinds('customer'))).toEqual(new Set([true]))
    for (const query of [
      'limit=0',
      'limit=101',
      'limit=1e6',
      'cursor=x',
      'kind=boss',
      'role=owner',
      'kind=staff&kind=staff',
    ])
      expect(await list(query)).toMatchObject({ status: 400 })
    expect(await shop.send('GET', '/v1/users/usr_01jd2zq8k5e6v9w3x7y2m4n6p8', undefined, bearer(boss))).toMatchObject({
      status: 404,
    })
  })

  it('holds every permission that a route asks for', () => {
    const asked = allRoutes(shop.app.http).map(({ config }) => config?.permission ?? 'public')
    const unknown = asked.filter((permission) => permission !== 'public' && !Object.hasOwn(PERMISSIONS, permission))
    expect(asked.length).toBeGreaterThan(10)
    expect(unknown).toEqual([])
  })

  it('reads who may do what', async () => {
    const { body } = await shop.send('GET', '/v1/roles', undefined, bearer(boss))
    expect(body.data.map(({ name }: { name: string }) => name)).toEqual([
      'guest',
      'customer',
      'support',
      'catalogue',
      'fulfilment',
      'finance',
      'admin',
      'owner',
    ])
    expect(body.data[0].permissions).not.toContain('account:read')
    expect(body.data.at(-1).permissions).toContain('owners:grant')
  })
})
