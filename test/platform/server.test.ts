import { Agent, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { afterEach, describe, expect, test } from 'vitest'
import type { Actor } from '#platform/db/work.ts'
import { originsOf } from '#platform/http/origins.ts'
import { closed } from '#platform/http/schemas.ts'
import { makeServer, type ServerOptions } from '#platform/http/server.ts'
import { refuse } from '#platform/problems.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { noLimits } from '../kit/limits.ts'

const guest: Actor = { kind: 'guest', userId: null, address: null, permissions: new Set(['things:read']) }
const options: Omit<ServerOptions, 'limits'> = {
  production: true,
  log: makeLog({ level: 'silent', sync: true }),
  metrics: { observe: () => {}, shed: () => {} },
  waitedMs: () => 0,
  authenticate: async ({ authorization }) => {
    if (authorization === 'Bearer staff') return { ...guest, kind: 'staff', permissions: new Set(['things:write']) }
    if (authorization) throw refuse('platform.unauthenticated')
    return guest
  },
  origins: originsOf({
    production: true,
    corsOrigins: ['https://shop.example'],
    publicUrl: 'https://api.example',
    storefrontUrl: 'https://api.example',
  }),
  trustedProxies: [],
  bodyLimitBytes: 2_048,
  requestTimeoutMs: 2_000,
  drainMs: 1_000,
}
const Thing = closed({
  name: Type.String({ minLength: 1, maxLength: 10 }),
  count: Type.Optional(Type.Integer({ minimum: 1 })),
})

let app: FastifyInstance
afterEach(() => app.close())

async function server(more: (app: FastifyInstance) => void = () => {}) {
  app = await makeServer({ ...options, limits: noLimits() })
  app.get(
    '/things',
    {
      schema: { querystring: closed({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) }) },
      config: { permission: 'public' },
    },
    async ({ query }) => query,
  )
  app.post('/things', { schema: { body: Thing }, config: { permission: 'things:read' } }, async ({ body }) => body)
  app.patch('/things/:id', { schema: { body: Thing }, config: { permission: 'things:write' } }, async () => ({}))
  app.get('/broken', { config: { permission: 'public' } }, async () => {
    throw new Error('select secret from /etc/passwd')
  })
  more(app)
  await app.ready()
  return app
}

describe('problem documents', () => {
  const cases: [string, object, number, string][] = [
    [
      'malformed JSON',
      { payload: '{"name":', headers: { 'content-type': 'application/json' } },
      400,
      'platform.malformed',
    ],
    ['a wrong type', { payload: { name: 1 } }, 400, 'platform.malformed'],
    ['a missing property', { payload: {} }, 400, 'platform.malformed'],
    ['an unknown property', { payload: { name: 'a', price: 1 } }, 400, 'platform.malformed'],
    ['a number as text', { payload: { name: 'a', count: '3' } }, 400, 'platform.malformed'],
    ['a number out of range', { payload: { name: 'a', count: 0 } }, 422, 'platform.invalid'],
    ['a text too long', { payload: { name: 'a'.repeat(11) } }, 422, 'platform.invalid'],
    ['a NUL', { payload: { name: 'a\u0000' } }, 422, 'platform.invalid'],
    [
      'half a surrogate pair',
      { payload: '{"name":"\\ud800"}', headers: { 'content-type': 'application/json' } },
      422,
      'platform.invalid',
    ],
    [
      'a poisoned prototype',
      { payload: '{"__proto__":{"polluted":true},"name":"a"}', headers: { 'content-type': 'application/json' } },
      400,
      'platform.malformed',
    ],
    [
      'a text that is not UTF-8',
      { payload: Buffer.from('{"name":"\xff"}', 'latin1'), headers: { 'content-type': 'application/json' } },
      400,
      'platform.malformed',
    ],
    [
      'a body without ground',
      { payload: '['.repeat(1_000) + ']'.repeat(1_000), headers: { 'content-type': 'application/json' } },
      400,
      'platform.malformed',
    ],
    ['a body over the limit', { payload: { name: 'a'.repeat(4_000) } }, 413, 'platform.too-large'],
    [
      'another content type',
      { payload: 'name=a', headers: { 'content-type': 'text/plain' } },
      415,
      'platform.unsupported-media-type',
    ],
  ]
  test.each(cases)('%s', async (_what, request, status, code) => {
    await server()
    const response = await app.inject({ method: 'POST', url: '/things', ...request })
    expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(response.json()).toMatchObject({
      status,
      code,
      type: `/problems/${code}`,
      instance: response.headers['x-request-id'],
    })
    expect(response.statusCode).toBe(status)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test.each(['limit=0', 'limit=1000000', 'limit=x', 'limit=1&limit=2', 'limt=3'])(
    'a bad parameter is 400: %s',
    async (query) => {
      await server()
      const response = await app.inject(`/things?${query}`)
      expect(response.statusCode).toBe(400)
      expect(response.json().errors[0].pointer).toMatch(/^\/querystring/)
    },
  )

  test('parameters are coerced, bodies are not', async () => {
    await server()
    expect((await app.inject('/things?limit=5')).json()).toEqual({ limit: 5 })
  })

  test('a bug is 500 without any detail', async () => {
    await server()
    const response = await app.inject('/broken')
    expect(response.statusCode).toBe(500)
    expect(response.body).not.toMatch(/secret|passwd|Error|\.ts/)
  })

  test('unknown addresses are 404, other methods 405 with Allow', async () => {
    await server()
    expect((await app.inject('/nothing')).json()).toMatchObject({ status: 404, code: 'platform.not-found' })
    const response = await app.inject({ method: 'DELETE', url: '/things/1' })
    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe('PATCH')
  })
})

describe('permissions', () => {
  test('a guest without it is told to log in, staff with it passes, a bad token is 401 even where none is needed', async () => {
    await server()
    const patch = (authorization?: string) =>
      app.inject({
        method: 'PATCH',
        url: '/things/1',
        payload: { name: 'a' },
        headers: authorization ? { authorization } : {},
      })
    const asked = await patch()
    expect([asked.statusCode, asked.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    expect((await patch('Bearer staff')).statusCode).toBe(200)
    const forged = await app.inject({ url: '/things', headers: { authorization: 'Bearer forged' } })
    expect([forged.statusCode, forged.headers['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"'])
    const staff = await app.inject({
      method: 'POST',
      url: '/things',
      payload: { name: 'a' },
      headers: { authorization: 'Bearer staff' },
    })
    expect(staff.statusCode).toBe(403)
  })

  test('a route without a permission, or with an open body, refuses to boot', async () => {
    await expect(server((app) => void app.get('/open', async () => ({})))).rejects.toThrow(/names no permission/)
    await app.close()
    const open = (app: FastifyInstance) =>
      void app.post(
        '/open',
        { schema: { body: Type.Object({ inner: Type.Object({}) }) }, config: { permission: 'public' } },
        async () => ({}),
      )
    await expect(server(open)).rejects.toThrow(/is open/)
  })
})

describe('headers', () => {
  test('CORS answers listed origins only, and never a suffix, null or plain localhost in production', async () => {
    await server()
    const allowed = async (origin: string) =>
      (await app.inject({ url: '/things', headers: { origin } })).headers['access-control-allow-origin']
    expect(await allowed('https://shop.example')).toBe('https://shop.example')
    for (const origin of ['https://shop.example.evil', 'null', 'http://localhost:5173'])
      expect(await allowed(origin)).toBeUndefined()
  })

  test('security headers stand on every answer; the request id is taken if well formed', async () => {
    await server()
    const { headers } = await app.inject({ url: '/nothing', headers: { 'x-request-id': 'my-request-1' } })
    expect(headers['content-security-policy']).toBe("default-src 'none';frame-ancestors 'none'")
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(headers['strict-transport-security']).toMatch(/max-age=31536000/)
    expect(headers['x-powered-by']).toBeUndefined()
    expect(headers['x-request-id']).toBe('my-request-1')
    expect(
      (await app.inject({ url: '/nothing', headers: { 'x-request-id': 'a b\tc' } })).headers['x-request-id'],
    ).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('shutdown', () => {
  test('P19: 32 keep-alive clients lose nothing: all are told to close, and only then the port goes', async () => {
    await server(
      (app) =>
        void app.get(
          '/slow',
          { config: { permission: 'public' } },
          async () => new Promise((resolve) => setTimeout(resolve, 20, { ok: true })),
        ),
    )
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const outcomes = { answered: 0, failed: 0 }
    let stop = false
    const client = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      while (!stop) {
        const told = await get(port, agent).then(
          (closing) => {
            outcomes.answered += 1
            return closing
          },
          () => {
            outcomes.failed += 1
            return true
          },
        )
        if (told) break
      }
      agent.destroy()
    }
    const clients = Array.from({ length: 32 }, client)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await app.close()
    stop = true
    await Promise.all(clients)
    expect(outcomes.failed).toBe(0)
    expect(outcomes.answered).toBeGreaterThan(100)
  })

  test('a half-sent request does not hold the door open for ever', async () => {
    await server()
    await app.listen({ port: 0, host: '127.0.0.1' })
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{')
    await new Promise((resolve) => setTimeout(resolve, 100))
    const start = performance.now()
    await app.close()
    expect(performance.now() - start).toBeLessThan(8_000)
    socket.destroy()
  })
})

/** One GET on the agent's connection; resolves with whether the answer asked for the connection to end. */
const get = (port: number, agent: Agent): Promise<boolean> =>
  new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', path: '/slow', agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.headers.connection === 'close'))
    })
      .on('error', reject)
      .end()
  })
