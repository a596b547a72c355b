import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import { lockRoles, storeFirstRoles } from '../../../src/contexts/users/infrastructure/role-store.ts'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { bearer, peopleOf } from './people.ts'
import { sqlOf, statementsOf } from './sql.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
let boss: Sent
let admin: { id: string; session: Sent }
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
  const owner = await people.createOwner()
  boss = await people.logIn(owner!.email, owner!.password)
  admin = await people.staff(boss, 'admin@shop.example', ['admin'])
})
afterAll(() => shop.close())

const send = (by: Sent, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, body?: object, headers = {}) =>
  shop.send(method, url, body, { ...bearer(by), ...headers })
const make = (by: Sent, name: string, permissions: readonly string[]) =>
  send(by, 'POST', '/v1/roles', { name, description: 'A role of our own.', permissions })
/** Changes a role as it is now. */
const change = async (by: Sent, name: string, body: object | undefined, method: 'PATCH' | 'DELETE' = 'PATCH') => {
  const { headers } = await send(boss, 'GET', `/v1/roles/${name}`)
  return send(by, method, `/v1/roles/${name}`, body, { 'if-match': String(headers.etag) })
}
const auditOf = (subject: string) =>
  sqlOf(shop, 'select actor_id, action, before, after from platform.audit_log where subject = $1 order by id', subject)

describe('roles', () => {
  it('are listed from guests to owners, with everything that can be allowed', async () => {
    const { body } = await send(boss, 'GET', '/v1/roles')
    expect(body.data.at(0)).toMatchObject({ name: 'guest', builtIn: true, editable: false })
    expect(body.data.at(-1)).toMatchObject({ name: 'owner', builtIn: true, editable: false })
    expect(body.data.at(-1).permissions).toEqual(body.permissions.map(({ name }: { name: string }) => name))
    const of = (name: string) => body.data.find((role: { name: string }) => role.name === name)
    expect(of('support')).toMatchObject({ builtIn: true, editable: true })
    for (const name of ['support', 'fulfilment', 'admin', 'owner'])
      expect(of(name).permissions).toContain('customers:read')
    for (const name of ['finance', 'catalogue']) expect(of(name).permissions).not.toContain('customers:read')
  })

  it('are made of permissions, given to people, and bite', async () => {
    const made = await make(admin.session, 'packer', ['orders:ship', 'orders:read'])
    expect(made).toMatchObject({
      status: 201,
      headers: { location: '/v1/roles/packer', etag: '"1"' },
      body: { name: 'packer', permissions: ['orders:read', 'orders:ship'], builtIn: false, editable: true },
    })
    expect((await send(boss, 'GET', '/v1/roles/packer')).body).toEqual(made.body)
    const packer = await people.staff(boss, 'packer@shop.example', ['packer'])
    expect((await send(packer.session, 'GET', '/v1/orders')).status).toBe(200)
    expect((await people.me(packer.session)).body.roles).toEqual(['packer'])
    expect(await send(packer.session, 'GET', '/v1/inventory')).toMatchObject({ status: 403 })
    expect(await auditOf('packer')).toEqual([
      {
        actor_id: admin.id,
        action: 'users.make-role',
        before: null,
        after: { description: 'A role of our own.', permissions: ['orders:read', 'orders:ship'] },
      },
    ])
  })

  it('bite on the next request when they are changed, also those that a shop begins with', async () => {
    const keeper = await people.staff(boss, 'keeper@shop.example', ['catalogue'])
    const look = () => send(keeper.session, 'GET', '/v1/inventory')
    const { body: before } = await send(boss, 'GET', '/v1/roles/catalogue')
    expect((await look()).status).toBe(200)
    const permissions = before.permissions.filter((one: string) => one !== 'inventory:read')
    expect(await change(admin.session, 'catalogue', { permissions })).toMatchObject({ status: 200 })
    expect(await look()).toMatchObject({ status: 403, body: { code: 'platform.forbidden' } })
    expect(await change(admin.session, 'catalogue', { permissions: before.permissions })).toMatchObject({ status: 200 })
    expect((await look()).status).toBe(200)
    const audit = await auditOf('catalogue')
    expect(audit).toMatchObject([
      { actor_id: admin.id, action: 'users.change-role', before: { permissions: before.permissions } },
      { actor_id: admin.id, action: 'users.change-role', after: { permissions: [...before.permissions].sort() } },
    ])
  })

  it('add up', async () => {
    const both = await people.staff(boss, 'both@shop.example', ['catalogue', 'finance'])
    expect((await send(both.session, 'GET', '/v1/inventory')).status).toBe(200)
    expect((await send(both.session, 'GET', '/v1/orders')).status).toBe(200)
  })

  it('are changed as they were read: If-Match', async () => {
    await make(boss, 'seen', [])
    const patch = (headers: object) => send(boss, 'PATCH', '/v1/roles/seen', { permissions: ['orders:note'] }, headers)
    expect(await patch({})).toMatchObject({ status: 428 })
    expect(await patch({ 'if-match': '"9"' })).toMatchObject({ status: 412, body: { code: 'platform.stale' } })
    expect(await patch({ 'if-match': '"1"' })).toMatchObject({ status: 200, headers: { etag: '"2"' } })
    expect(await patch({ 'if-match': '"1"' })).toMatchObject({ status: 412 })
    expect(await send(boss, 'DELETE', '/v1/roles/seen', undefined, { 'if-match': '"1"' })).toMatchObject({
      status: 412,
    })
  })

  it('have names that are free, and permissions that there are', async () => {
    for (const name of ['support', 'guest', 'customer', 'owner'])
      expect(await make(boss, name, [])).toMatchObject({ status: 409, body: { code: 'users.role-exists' } })
    for (const name of ['Packer', '', 'a b', '9lives'])
      expect(await make(boss, name, [])).toMatchObject({ status: 422 })
    expect(await make(boss, 'dreamer', ['world:rule'])).toMatchObject({
      status: 422,
      body: { code: 'platform.invalid' },
    })
    expect(await send(boss, 'GET', '/v1/roles/nobody')).toMatchObject({
      status: 404,
      body: { code: 'users.role-not-found' },
    })
  })

  it('that are fixed stay as they are, and those that a shop begins with stay there', async () => {
    for (const name of ['guest', 'customer', 'owner']) {
      expect(await change(boss, name, { permissions: [] })).toMatchObject({
        status: 409,
        body: { code: 'users.fixed-role' },
      })
      expect(await change(boss, name, undefined, 'DELETE')).toMatchObject({ status: 409 })
    }
    expect(await change(boss, 'finance', undefined, 'DELETE')).toMatchObject({
      status: 409,
      body: { code: 'users.fixed-role' },
    })
  })

  it('are deleted when nobody has them', async () => {
    await make(boss, 'temporary', ['orders:note'])
    const temp = await people.staff(boss, 'temp@shop.example', ['temporary', 'finance'])
    expect(await change(boss, 'temporary', undefined, 'DELETE')).toMatchObject({
      status: 409,
      body: { code: 'users.role-in-use' },
    })
    const patched = await send(boss, 'PATCH', `/v1/users/${temp.id}`, { roles: ['finance'] }, { 'if-match': '"1"' })
    expect(patched.status).toBe(200)
    expect(await change(boss, 'temporary', undefined, 'DELETE')).toMatchObject({ status: 204 })
    expect(await send(boss, 'GET', '/v1/roles/temporary')).toMatchObject({ status: 404 })
    expect(
      await send(boss, 'PATCH', `/v1/users/${temp.id}`, { roles: ['temporary'] }, { 'if-match': '"2"' }),
    ).toMatchObject({
      status: 422,
      body: { code: 'users.unknown-role', errors: [{ pointer: '/roles/0' }] },
    })
    expect((await auditOf('temporary')).at(-1)).toMatchObject({ action: 'users.remove-role', after: null })
  })

  it('are never given and deleted at once: who deletes waits for who gives', async () => {
    await make(boss, 'racing', [])
    const racer = await people.staff(boss, 'racer@shop.example', ['finance'])
    let deleting: Promise<Sent> | undefined
    await shop.app.perform({ actor: systemActor, requestId: 'test' }, async (work) => {
      expect((await lockRoles(work)).has('racing')).toBe(true)
      deleting = change(boss, 'racing', undefined, 'DELETE')
      await pause(300)
      await sql`update users.users set roles = '{racing}' where id = ${racer.id}`.execute(work.tx)
    })
    expect(await deleting).toMatchObject({ status: 409, body: { code: 'users.role-in-use' } })
    expect((await send(racer.session, 'GET', '/v1/users/me')).body.roles).toEqual(['racing'])
  })

  it('that a shop begins with follow Stoa until the shop changes them', async () => {
    const read = async (name: string) => (await send(boss, 'GET', `/v1/roles/${name}`)).body.permissions
    await sqlOf(shop, `update users.roles set permissions = '{orders:read}' where name in ('support', 'fulfilment')`)
    await sqlOf(shop, `update users.roles set version = 2 where name = 'fulfilment'`)
    await Promise.all([1, 2, 3].map(() => storeFirstRoles(shop.app.database.db, shop.clock.now)))
    expect(await read('support')).toContain('customers:read')
    expect(await read('fulfilment')).toEqual(['orders:read'])
    await sqlOf(shop, `delete from users.roles where name = 'fulfilment'`)
    await storeFirstRoles(shop.app.database.db, shop.clock.now)
    expect(await read('fulfilment')).toContain('orders:ship')
  })
})

describe('telling who asks', () => {
  it('takes one statement with a token, whatever the roles, and none for a guest', async () => {
    const customer = await people.customer('counted@shop.example')
    const store = (headers = {}) => shop.send('GET', '/v1/store', undefined, headers)
    // Whether checkout is open is asked every five seconds.
    await store()
    expect(await statementsOf(() => store())).toBe(0)
    for (const session of [customer, admin.session, boss])
      expect(await statementsOf(() => store(bearer(session)))).toBe(1)
  })
})
