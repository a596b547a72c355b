import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { shedLoad } from '#platform/http/overload.ts'
import { allRoutes } from '#platform/http/routes.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

/** Who is turned away when others wait too long for the database. P28 tries it under load. */
const OWN = { 'x-cart-token': 'of a cart' }
const lines: unknown[][] = []
let waitedMs: number
const shed = vi.fn()
let app: FastifyInstance
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  lines.length = 0
  shed.mockClear()
  waitedMs = 0
  app = Fastify()
  shedLoad(app, {
    waitedMs: () => waitedMs,
    metrics: { shed },
    log: { warn: (...line: unknown[]) => lines.push(line) } as never,
  })
  app.get('/', async () => 'served')
  app.get('/always', { config: { neverShed: true } }, async () => 'served')
})
afterEach(() => {
  vi.useRealTimers()
  return app.close()
})

const ask = (headers: Record<string, string> = {}, url = '/') => app.inject({ url, headers })
const statusOf = async (headers?: Record<string, string>, url?: string) => (await ask(headers, url)).statusCode
/** The first in line has always waited this long, for so long. */
function waitFor(ms: number, waited: number): void {
  waitedMs = waited
  vi.advanceTimersByTime(ms)
}

describe('while others wait for the database', () => {
  test('nobody is turned away who would wait for a moment only, however long that goes on', async () => {
    waitFor(60_000, 150)
    expect(await statusOf()).toBe(200)
  })

  test('nobody is turned away for what is over at once: a lock, a checkpoint, a burst of orders', async () => {
    waitFor(450, 10_000)
    expect(await statusOf()).toBe(200)
    waitFor(1_500, 10_000)
    expect(await statusOf(OWN)).toBe(200)
  })

  test('who begins is turned away, and told when to come again; counted, and told once in the log', async () => {
    waitFor(500, 200)
    const { statusCode, headers, body } = await ask()
    expect({ statusCode, retryAfter: headers['retry-after'] }).toEqual({ statusCode: 503, retryAfter: '2' })
    expect(JSON.parse(body)).toMatchObject({ code: 'platform.overloaded', status: 503 })
    expect(await statusOf()).toBe(503)
    expect(shed).toHaveBeenCalledTimes(2)
    expect(lines).toEqual([[{ waitedMs: 200 }, 'overloaded: requests are turned away']])
  })

  test.each([
    ['a cart', OWN],
    ['an order', { 'x-order-token': 'of an order' }],
    ['an account', { authorization: 'Bearer token' }],
  ])('who goes on with %s is turned away last', async (_, headers) => {
    waitFor(60_000, 2_000)
    expect(await statusOf(headers)).toBe(200)
    waitFor(100, 2_100)
    expect(await statusOf(headers)).toBe(503)
  })

  test('what must be heard is always served', async () => {
    waitFor(60_000, 60_000)
    expect(await statusOf({}, '/always')).toBe(200)
  })

  test('it ends when nobody waits too long any more, and begins anew only if that lasts again', async () => {
    waitFor(1_000, 200)
    expect(await statusOf()).toBe(503)
    waitFor(500, 0)
    expect(await statusOf()).toBe(200)
    waitFor(50, 200)
    expect(await statusOf()).toBe(503)
    waitFor(1_000, 0)
    waitFor(450, 200)
    expect(await statusOf()).toBe(200)
  })
})

describe('in the shop', () => {
  let shop: TestShop
  beforeAll(async () => {
    shop = await testShop()
  })
  afterAll(() => shop.close())

  test('these are never turned away: health, metrics, keys, webhooks, and what keeps or ends a session', () => {
    const never = allRoutes(shop.app.http).filter(({ method, config }) => method !== 'HEAD' && config?.neverShed)
    expect(never.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([
      'GET /.well-known/jwks.json',
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'GET /metrics',
      'POST /v1/auth/logout',
      'POST /v1/auth/refresh',
      'POST /v1/payments/webhook',
      'POST /v1/payments/webhook/:provider',
    ])
  })

  test('the API document says who may be turned away', async () => {
    const { body } = await shop.send('GET', '/openapi.json')
    const answerOf = (path: string, method: string) => body.paths[path][method].responses['503'].description
    expect(answerOf('/v1/carts', 'post')).toContain('platform.overloaded')
    expect(answerOf('/health/ready', 'get')).not.toContain('platform.overloaded')
  })
})
