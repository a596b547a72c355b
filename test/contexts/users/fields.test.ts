import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asOwn, readableBy, ruleOf, writableBy } from '#platform/http/fields.ts'
import { allRoutes } from '#platform/http/routes.ts'
import { closed, named } from '#platform/http/schemas.ts'
import { PERMISSIONS } from '../../../src/contexts/users/domain/roles.ts'
import { type TestShop, testShop } from '../../kit/shop.ts'

type Schema = { readonly [keyword: string]: unknown }

let shop: TestShop
let document: { paths: object; components: { schemas: Record<string, { properties: Record<string, Schema> }> } }
beforeAll(async () => {
  shop = await testShop()
  document = (await shop.send('GET', '/openapi.json')).body
})
afterAll(() => shop?.close())

describe('rules of fields', () => {
  it('are found in properties, lists and alternatives, and nowhere else', () => {
    const person = closed({ id: Type.String(), email: readableBy('a:b', Type.String()) })
    const page = named('Page', closed({ data: Type.Array(person), other: Type.Union([person, Type.Null()]) }))
    const email = ['email', { permission: 'a:b', properties: [] }]
    expect(ruleOf(page, 'x-readable-by')).toMatchObject({
      properties: [
        ['data', { items: { properties: [email] } }],
        ['other', { properties: [email] }],
      ],
    })
    expect(ruleOf(page, 'x-writable-by')).toBeUndefined()
    const partial = Type.Partial(
      closed({ prices: writableBy('c:d', Type.Array(Type.Integer())), title: Type.String() }),
    )
    expect(ruleOf(partial, 'x-writable-by')).toMatchObject({ properties: [['prices', { permission: 'c:d' }]] })
  })

  it('stand in the document that describes the API', () => {
    const { Order, OrderSummary, UserView, NewVariant, VariantChanges } = document.components.schemas
    for (const name of ['token', 'email', 'shippingAddress', 'billingAddress', 'note'])
      expect(Order!.properties[name], name).toMatchObject({ 'x-readable-by': 'customers:read' })
    expect(OrderSummary!.properties.email).toMatchObject({ 'x-readable-by': 'customers:read' })
    for (const name of ['email', 'name'])
      expect(UserView!.properties[name], name).toMatchObject({ 'x-readable-by': 'customers:read' })
    for (const schema of [NewVariant, VariantChanges])
      expect(schema!.properties.prices).toMatchObject({ 'x-writable-by': 'catalogue:price' })
  })

  it('name permissions that there are', () => {
    const asked = [...JSON.stringify(document).matchAll(/"x-(?:readable|writable)-by":"([^"]+)"/g)].map(
      ([, one]) => one!,
    )
    expect(asked.length).toBeGreaterThan(5)
    expect(asked.filter((one) => !Object.hasOwn(PERMISSIONS, one))).toEqual([])
  })

  it('cost nothing where there are none', () => {
    const ruled = allRoutes(shop.app.http).filter(({ preSerialization, preHandler }) => preSerialization || preHandler)
    const urls = new Set(ruled.map(({ method, url }) => `${method} ${url}`))
    expect(urls).toContain('GET /v1/orders')
    expect(urls).toContain('PATCH /v1/products/:id/variants/:variantId')
    for (const free of [
      'GET /v1/products',
      'GET /v1/carts/:id',
      'POST /v1/carts',
      'GET /v1/store',
      'POST /v1/payments/:id/attempts',
    ])
      expect(urls, free).not.toContain(free)
  })

  it('leave what is marked as own as it is, by identity', () => {
    const view = { id: 'ord_1', email: 'ann@example.com' }
    expect(asOwn(view)).toBe(view)
    expect(JSON.stringify(asOwn(view))).toBe('{"id":"ord_1","email":"ann@example.com"}')
  })
})
