import type { RouteOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allRoutes } from '#platform/http/routes.ts'
import { FIRST_ROLES, FIXED_ROLES } from '../../src/contexts/users/domain/roles.ts'
import { bearer, peopleOf } from '../contexts/users/people.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

/** Function-level authz: every route × everybody. The table says who may; the routes must agree. */
let shop: TestShop
let people: ReturnType<typeof peopleOf>
let boss: Sent
let routes: { readonly method: 'GET'; readonly url: string; readonly permission: string }[]
const shoppers: readonly string[] = FIXED_ROLES.customer.permissions

beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
  const owner = await people.createOwner()
  boss = await people.logIn(owner!.email, owner!.password)
  routes = allRoutes(shop.app.http).flatMap(({ method, url, config }: RouteOptions) =>
    [method].flat().flatMap((one) => {
      const permission = config?.permission ?? 'public'
      if (permission === 'public' || one === 'HEAD' || one === 'OPTIONS') return []
      // They would end the session that asks.
      if (one === 'DELETE' && ['/v1/users/me', '/v1/auth/sessions'].includes(url)) return []
      return [{ method: one as 'GET', url: url.replaceAll(/:\w+/g, 'nonsense'), permission }]
    }),
  )
})
afterAll(() => shop.close())

/** The routes that answer with this code; whoever may not ask is told so before anything else is looked at. */
const refusedWith = async (code: string, headers: Record<string, string>) => {
  const refused: string[] = []
  for (const { method, url } of routes)
    if ((await shop.send(method, url, undefined, headers)).body?.code === code) refused.push(`${method} ${url}`)
  return refused
}
const closedTo = (permissions: readonly string[]) =>
  routes.filter(({ permission }) => !permissions.includes(permission)).map(({ method, url }) => `${method} ${url}`)

describe('every route is closed to whoever lacks its permission', () => {
  test('guests: 401', async () => {
    expect(routes.length).toBeGreaterThan(40)
    expect(await refusedWith('platform.unauthenticated', {})).toEqual(closedTo(FIXED_ROLES.guest.permissions))
  })

  test('customers: 403', async () => {
    const session = await people.customer('customer@shop.example')
    expect(await refusedWith('platform.forbidden', bearer(session))).toEqual(closedTo(shoppers))
  })

  test.each(Object.entries(FIRST_ROLES))('%s: 403', async (name, { permissions }) => {
    const { session } = await people.staff(boss, `${name}@shop.example`, [name])
    expect(await refusedWith('platform.forbidden', bearer(session))).toEqual(closedTo([...shoppers, ...permissions]))
  })

  test('a role without permissions: 403, like a customer', async () => {
    await shop.send('POST', '/v1/roles', { name: 'nothing', description: 'None.', permissions: [] }, bearer(boss))
    const { session } = await people.staff(boss, 'nothing@shop.example', ['nothing'])
    expect(await refusedWith('platform.forbidden', bearer(session))).toEqual(closedTo(shoppers))
  })

  test('owners: none', async () => {
    expect(await refusedWith('platform.forbidden', bearer(boss))).toEqual([])
  })
})

test('a method that is named in a header is not looked at', async () => {
  const { session } = await people.staff(boss, 'reader@shop.example', ['support'])
  for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
    const headers = { ...bearer(session), [name]: 'POST' }
    expect(await shop.send('GET', '/v1/users', undefined, headers)).toMatchObject({ status: 200 })
    expect(await shop.send('GET', '/v1/orders/nonsense/shipments', undefined, headers)).toMatchObject({ status: 405 })
  }
})

test('a route that nobody listed is denied', async () => {
  for (const url of ['/v1/admin', '/v1/roles/support/permissions', '/v1/users/me/roles', '/admin'])
    expect(await shop.send('GET', url, undefined, bearer(boss))).toMatchObject({ status: 404 })
})
