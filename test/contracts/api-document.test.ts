import { Validator } from '@seriousme/openapi-schema-validator'
import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeApi } from '#platform/http/openapi.ts'
import { originsOf } from '#platform/http/origins.ts'
import { allRoutes } from '#platform/http/routes.ts'
import { closed } from '#platform/http/schemas.ts'
import { makeServer } from '#platform/http/server.ts'
import { platformProblems } from '#platform/problems.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { makeMetrics } from '#platform/telemetry/metrics.ts'
import { noLimits } from '../kit/limits.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

type Content = { readonly content?: Record<string, { readonly schema: Schema }> }
type Schema = {
  readonly $ref?: string
  readonly type?: string
  readonly properties?: Record<string, Schema>
  readonly items?: Schema
  readonly anyOf?: Schema[]
}
type Operation = {
  readonly operationId: string
  readonly summary?: string
  readonly tags?: string[]
  readonly requestBody?: Content
  readonly responses: Record<string, Content>
}
type Document = { readonly openapi: string; readonly paths: Record<string, Record<string, Operation>> }

let shop: TestShop
let document: Document
let operations: { readonly name: string; readonly operation: Operation }[]

beforeAll(async () => {
  shop = await testShop()
  document = (await shop.send('GET', '/openapi.json')).body
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )
})
afterAll(() => shop?.close())

describe('the OpenAPI document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    expect((await validator.validate(structuredClone(document))).errors).toBeUndefined()
    expect(validator.version).toBe('3.1')
  })

  test('describes every route that is served, or the route hides on purpose', () => {
    const served = allRoutes(shop.app.http).flatMap(({ method, url, schema }) =>
      [method]
        .flat()
        .filter((each) => each !== 'HEAD' && each !== 'OPTIONS' && !(schema as { hide?: boolean } | undefined)?.hide)
        .map((each) => `${each} ${url.replaceAll(/:(\w+)/g, '{$1}')}`),
    )
    expect(served.length).toBeGreaterThan(40)
    expect(operations.map(({ name }) => name).sort()).toEqual([...new Set(served)].sort())
  })

  test('hides nothing under /v1', () => {
    const hidden = allRoutes(shop.app.http).filter(({ schema }) => (schema as { hide?: boolean } | undefined)?.hide)
    expect(hidden.map(({ url }) => url).filter((url) => url.startsWith('/v1'))).toEqual([])
  })

  test('gives each operation an id of its own, a summary and a tag', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
    expect(ids.filter((id) => !/^[a-z]+([A-Z][a-z]+)*$/.test(id ?? ''))).toEqual([])
    expect(operations.filter(({ operation }) => !operation.summary || operation.tags?.length !== 1)).toEqual([])
  })

  test('names every body that it takes or gives', () => {
    const nameless = operations.flatMap(({ name, operation }) => {
      const bodies = [operation.requestBody, ...Object.values(operation.responses)]
      const schemas = bodies.flatMap((body) => body?.content?.['application/json']?.schema ?? [])
      return schemas.every(isNamed) ? [] : [name]
    })
    expect(nameless).toEqual([])
  })

  test('says of every operation how it refuses', () => {
    const silent = operations.filter(
      ({ operation }) =>
        !Object.values(operation.responses).some(({ content }) => content?.['application/problem+json']),
    )
    expect(silent.map(({ name }) => name)).toEqual([])
  })

  test('leads from every problem code to a page that explains it', async () => {
    const contexts = Object.values(shop.app.contexts)
    const codes = Object.keys(Object.assign({}, platformProblems, ...contexts.map(({ problems }) => problems)))
    for (const code of codes) expect(await shop.send('GET', `/problems/${code}`), code).toMatchObject({ status: 200 })
    expect(await shop.send('GET', '/problems/no.such-code')).toMatchObject({ status: 404 })
  })
})

/** A component, a page or list of one, one of several, or nothing at all. */
const isNamed = (schema: Schema): boolean =>
  schema.$ref !== undefined ||
  schema.type === 'null' ||
  (schema.anyOf?.every(isNamed) ?? false) ||
  (schema.type === 'array' && schema.items?.$ref !== undefined) ||
  (schema.properties?.nextCursor !== undefined && schema.properties.data?.items?.$ref !== undefined)

describe('the service refuses to boot', () => {
  const guest = { kind: 'guest', userId: null, address: null, permissions: new Set<string>() } as const
  const server = async () => {
    const app = await makeServer({
      ...{
        production: false,
        origins: originsOf({
          production: false,
          corsOrigins: [],
          publicUrl: 'https://api.example',
          storefrontUrl: 'https://api.example',
        }),
        trustedProxies: [],
        bodyLimitBytes: 1_024,
        requestTimeoutMs: 1_000,
        drainMs: 0,
      },
      ...{
        log: makeLog({ level: 'silent' }),
        metrics: makeMetrics(),
        waitedMs: () => 0,
        authenticate: async () => guest,
        limits: noLimits(),
      },
    })
    await describeApi(app, { problems: platformProblems, publicUrl: 'http://localhost', authenticationRefuses: [] })
    return app
  }
  const handler = async () => ({})

  test('with a route that names no permission', async () => {
    const app = await server()
    app.get('/v1/planted', handler)
    await expect(app.ready()).rejects.toThrow('GET /v1/planted names no permission')
  })

  test('with a permission that is no resource:action', async () => {
    const app = await server()
    app.get('/v1/planted', { config: { permission: 'everybody' } }, handler)
    await expect(app.ready()).rejects.toThrow('names no permission')
  })

  test.each(['body', 'querystring', 'params'])('with an open schema of its %s', async (part) => {
    const app = await server()
    const open = closed({ address: Type.Object({ city: Type.String() }) })
    const add = () => app.post('/v1/planted', { schema: { [part]: open }, config: { permission: 'public' } }, handler)
    expect(add).toThrow('is open')
  })

  test('with a problem code that no table names', async () => {
    const app = await server()
    const add = () => app.get('/v1/planted', { config: { permission: 'public', refuses: ['orders.no-such'] } }, handler)
    expect(add).toThrow('orders.no-such')
  })

  test('but not with a sound route', async () => {
    const app = await server()
    app.get('/v1/planted', { config: { permission: 'public', refuses: ['platform.not-found'] } }, handler)
    await app.ready()
    await app.close()
  })
})
