import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

/** Admin cannot outrank: who manages people and roles cannot lift anybody, themselves included, above what they may do. */
let shop: TestShop
let people: ReturnType<typeof peopleOf>
let boss: Sent
let admin: Sent
let clerk: { id: string; session: Sent }

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
const send = (by: Sent, method: Method, url: string, body?: object) => shop.send(method, url, body, bearer(by))
/** Changes a thing as it is now. */
const change = async (by: Sent, url: string, body?: object, method: Method = 'PATCH') => {
  const { headers } = await send(boss, 'GET', url)
  return shop.send(method, url, body, { ...bearer(by), 'if-match': String(headers.etag) })
}
const REFUSED = { status: 403, body: { code: 'users.cannot-grant' } }

beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
  const owner = await people.createOwner()
  boss = await people.logIn(owner!.email, owner!.password)
  admin = (await people.staff(boss, 'admin@shop.example', ['admin'])).session
  // Somebody who may manage roles and people, and little else.
  const permissions = ['roles:read', 'roles:write', 'roles:grant', 'users:read', 'users:write', 'orders:note']
  await send(boss, 'POST', '/v1/roles', { name: 'clerk', description: 'Manages people.', permissions })
  await send(boss, 'POST', '/v1/roles', { name: 'almighty', description: 'All.', permissions: ['owners:grant'] })
  clerk = await people.staff(boss, 'clerk@shop.example', ['clerk'])
})
afterAll(() => shop.close())

describe('nobody grants what they lack', () => {
  it('by making a role', async () => {
    const make = (by: Sent, name: string, permissions: string[]) =>
      send(by, 'POST', '/v1/roles', { name, description: 'New.', permissions })
    expect(await make(clerk.session, 'refunder', ['orders:note', 'payments:refund'])).toMatchObject(REFUSED)
    expect(await make(admin, 'kingmaker', ['owners:grant'])).toMatchObject(REFUSED)
    expect(await make(clerk.session, 'noter', ['orders:note'])).toMatchObject({ status: 201 })
  })

  it('by changing a role, their own or another', async () => {
    const more = { permissions: ['roles:read', 'roles:write', 'payments:refund'] }
    expect(await change(clerk.session, '/v1/roles/clerk', more)).toMatchObject(REFUSED)
    expect(await change(clerk.session, '/v1/roles/noter', { permissions: ['payments:refund'] })).toMatchObject(REFUSED)
    expect(await change(admin, '/v1/roles/admin', { permissions: ['owners:grant'] })).toMatchObject(REFUSED)
  })

  it('by giving a role, to somebody new, to another or to themselves', async () => {
    const body = { email: 'new@shop.example', password: PASSWORD, name: 'New' }
    for (const roles of [['finance'], ['noter', 'finance'], ['admin'], ['owner']])
      expect(await send(clerk.session, 'POST', '/v1/users', { ...body, roles })).toMatchObject(REFUSED)
    expect(await send(admin, 'POST', '/v1/users', { ...body, roles: ['almighty'] })).toMatchObject(REFUSED)
    expect(await change(clerk.session, `/v1/users/${clerk.id}`, { roles: ['clerk', 'finance'] })).toMatchObject(REFUSED)
    expect(await send(clerk.session, 'POST', '/v1/users', { ...body, roles: ['noter'] })).toMatchObject({ status: 201 })
  })
})

describe('nobody takes from those above them', () => {
  it('a role that allows more, changed or deleted', async () => {
    const text = { description: 'Mine now.' }
    expect(await change(clerk.session, '/v1/roles/finance', text)).toMatchObject(REFUSED)
    expect(await change(clerk.session, '/v1/roles/finance', { permissions: [] })).toMatchObject(REFUSED)
    expect(await change(admin, '/v1/roles/almighty', { permissions: [] })).toMatchObject(REFUSED)
    expect(await change(admin, '/v1/roles/almighty', undefined, 'DELETE')).toMatchObject(REFUSED)
  })

  it('a person who may do more: edited or disabled', async () => {
    for (const body of [{ disabled: true }, { roles: ['noter'] }]) {
      expect(await change(admin, `/v1/users/${boss.body.user.id}`, body)).toMatchObject(REFUSED)
      expect(await change(clerk.session, `/v1/users/${admin.body.user.id}`, body)).toMatchObject(REFUSED)
    }
    const { id } = (await people.staff(boss, 'chosen@shop.example', ['almighty'])) as { id: string }
    expect(await change(admin, `/v1/users/${id}`, { disabled: true })).toMatchObject(REFUSED)
  })
})

it('the last owner stays, whoever asks', async () => {
  const owner = `/v1/users/${boss.body.user.id}`
  for (const body of [{ disabled: true }, { roles: ['admin'] }])
    expect(await change(boss, owner, body)).toMatchObject({ status: 409, body: { code: 'users.last-owner' } })
})

it('a permission that was taken away is not granted any more on the next request', async () => {
  const make = (name: string) =>
    send(clerk.session, 'POST', '/v1/roles', { name, description: 'New.', permissions: ['orders:note'] })
  expect((await make('before')).status).toBe(201)
  const { body } = await send(boss, 'GET', '/v1/roles/clerk')
  const permissions = body.permissions.filter((one: string) => one !== 'orders:note')
  expect((await change(boss, '/v1/roles/clerk', { permissions })).status).toBe(200)
  expect(await make('after')).toMatchObject(REFUSED)
})
