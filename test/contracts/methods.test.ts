import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Buying, openForBuying, type Placed } from '../contexts/orders/buying.ts'

type Method = Parameters<Buying['send']>[0]

let buying: Buying
let paths: ReadonlyMap<string, readonly string[]>
let support: Record<string, string>
let order: Placed

beforeAll(async () => {
  buying = await openForBuying()
  support = await buying.staff('support')
  order = await buying.anOrder()
  const { body } = await buying.shop.send('GET', '/openapi.json')
  paths = new Map(
    Object.entries(body.paths as Record<string, object>).map(([path, methods]) => [
      path,
      Object.keys(methods).map((method) => method.toUpperCase()),
    ]),
  )
})
afterAll(() => buying?.close())

describe('methods', () => {
  test('a method that is asked for in a header is not looked at', async () => {
    const { id } = order
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override'])
      expect(
        await buying.send('GET', `/v1/orders/${id}/shipments`, undefined, { ...support, [name]: 'POST' }),
      ).toMatchObject({ status: 405 })
  })

  test('a method that is not listed is 405 with those that are', async () => {
    const every = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
    for (const [path, methods] of paths)
      for (const method of every.filter((one) => !methods.includes(one))) {
        const url = path.replaceAll(/\{\w+\}/g, 'nonsense')
        const answer = await buying.shop.app.http.inject({ method: method as Method, url })
        // A fixed address may also be read as one with a parameter: GET /v1/payments/webhook is an id that is none.
        if (answer.statusCode !== 405) expect([400, 401, 404], `${method} ${url}`).toContain(answer.statusCode)
        else expect(String(answer.headers.allow).split(', '), url).toEqual(expect.arrayContaining([...methods]))
      }
  })
})
