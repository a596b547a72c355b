import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { AUTH_LIMITS } from '#contexts/users/infrastructure/limits.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { startRedis, type TestRedis } from '../kit/redis.ts'

/** P13: rate limits are exact across processes and fail safely. */
let database: TestDatabase
let redis: TestRedis
let cluster: Cluster

beforeAll(async () => {
  redis = await startRedis()
  database = await testDatabase()
  cluster = await startCluster(database, {
    services: 2,
    env: { RATE_LIMITS: 'on', REDIS_URL: redis.url, LOG_LEVEL: 'warn' },
  })
})
afterAll(async () => {
  await cluster?.stop()
  await database?.drop()
  await redis?.stop()
})
beforeEach(async () => {
  await redis.kill()
  await redis.start()
  await eventually(isShared)
  await redis.command('FLUSHALL')
})

const [{ points: POINTS }] = AUTH_LIMITS.refresh
type Asked = { readonly status: number; readonly ms: number; readonly remaining: number }

/** Refreshes with a token that is none: 401 where the limit lets it through, 429 where it does not. */
async function refresh(index: number, headers: Record<string, string> = {}): Promise<Asked> {
  const started = performance.now()
  const response = await fetch(`${cluster.services[index % 2]!.url}/v1/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"refreshToken":"none"}',
  })
  await response.arrayBuffer()
  const remaining = Number(/r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1])
  return { status: response.status, ms: performance.now() - started, remaining }
}

/** So many requests, twenty at a time, to both processes in turn. */
async function flood(count: number, headers: (index: number) => Record<string, string> = () => ({})) {
  const asked: Asked[] = []
  let next = 0
  const client = async () => {
    for (let index = next++; index < count; index = next++) asked.push(await refresh(index, headers(index)))
  }
  await Promise.all(Array.from({ length: 20 }, client))
  return {
    allowed: asked.filter(({ status }) => status === 401).length,
    refused: asked.filter(({ status }) => status === 429).length,
    other: asked.filter(({ status }) => status !== 401 && status !== 429).map(({ status }) => status),
  }
}

/** What a request takes when it comes alone: the median of 21. */
async function aloneMs(): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < 21; index++) times.push((await refresh(index)).ms)
  return times.sort((a, b) => a - b)[10] as number
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 50) {
    if (await isSo().catch(() => false)) return
    await pause(50)
  }
  throw new Error('It did not become so within ten seconds.')
}

/** Whether each process counts what the other counted. */
async function isShared(): Promise<boolean> {
  await redis.command('FLUSHALL')
  const asked = [await refresh(0), await refresh(1), await refresh(0)]
  return asked.every(({ remaining }, index) => remaining === POINTS - 1 - index)
}

test('500 requests at a limit of 100 over two processes: exactly 100, though each forges another address', async () => {
  const { allowed, refused, other } = await flood(500, (index) => ({
    'x-forwarded-for': `198.51.100.${index % 250}`,
    'x-buyer-ip': `198.51.100.${index % 250}`,
    forwarded: `for=198.51.100.${index % 250}`,
  }))
  expect({ allowed, refused, other }).toEqual({ allowed: POINTS, refused: 500 - POINTS, other: [] })
})

test('Redis killed: limits stay on from what was known, no 5xx, nobody waits; Redis back: exact again', async () => {
  expect((await flood(60)).allowed).toBe(60)
  await redis.kill()
  const without = await flood(500)
  expect(without.other).toEqual([])
  // Each process knows what Redis last told it; from there each allows at most what is left.
  expect(without.allowed).toBeGreaterThanOrEqual(POINTS - 60)
  expect(without.allowed).toBeLessThanOrEqual(2 * (POINTS - 60) + 10)
  expect(await aloneMs()).toBeLessThan(90)
  await redis.start()
  await eventually(isShared)
  await redis.command('FLUSHALL')
  expect(await flood(500)).toMatchObject({ allowed: POINTS, refused: 500 - POINTS, other: [] })
})

test('Redis silent (SIGSTOP): limits stay on, no 5xx, one wait of 100 ms; Redis back: exact again', async () => {
  await flood(60)
  redis.hang()
  const first = await flood(40)
  const then = await flood(460)
  const waitMs = await aloneMs()
  redis.resume()
  expect([...first.other, ...then.other]).toEqual([])
  expect(first.allowed + then.allowed).toBeGreaterThanOrEqual(POINTS - 60)
  expect(first.allowed + then.allowed).toBeLessThanOrEqual(2 * (POINTS - 60) + 10)
  expect(waitMs).toBeLessThan(90)
  await eventually(isShared)
  await redis.command('FLUSHALL')
  expect(await flood(500)).toMatchObject({ allowed: POINTS, refused: 500 - POINTS, other: [] })
})

test('the login limiter stays on while Redis is away', async () => {
  await redis.kill()
  const [{ points }] = AUTH_LIMITS.logIn
  const statuses = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const response = await fetch(`${cluster.services[index % 2]!.url}/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: `guess${index}@example.com`, password: 'a wrong password' }),
      })
      await response.arrayBuffer()
      return response.status
    }),
  )
  expect(statuses.filter((status) => status !== 429).length).toBeLessThanOrEqual(2 * points)
  expect(statuses.filter((status) => status === 401).length).toBeGreaterThanOrEqual(points)
  expect(statuses.filter((status) => status !== 401 && status !== 429)).toEqual([])
})
