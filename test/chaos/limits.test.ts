import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { AUTH_LIMITS } from '#contexts/users/infrastructure/limits.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { startRedis, type TestRedis } from '../kit/redis.ts'
import { verdict } from '../kit/verdict.ts'

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
  return sorted(asked.map(({ status }) => status))
}

/** How many were let through, and what was neither let through nor refused. */
const sorted = (statuses: readonly number[]) => ({
  allowed: statuses.filter((status) => status === 401).length,
  other: statuses.filter((status) => status !== 401 && status !== 429),
})

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

type Flood = Awaited<ReturnType<typeof flood>>

/** What is wrong with a flood of which so many should have been let through, in words. */
function wrongWith({ allowed, other }: Flood, least: number, most = least): string[] {
  const bounds = least === most ? `${least}` : `${least} to ${most}`
  return [
    ...(allowed < least || allowed > most ? [`${allowed} were let through instead of ${bounds}`] : []),
    ...other.map((status) => `One was answered ${status}`),
  ]
}

/** A flood after Redis has come back. */
async function exactAgain(): Promise<string[]> {
  await eventually(isShared)
  await redis.command('FLUSHALL')
  return wrongWith(await flood(500), POINTS)
}

test('500 requests at a limit of 100 over two processes: exactly 100, though each forges another address', async () => {
  const forging = await flood(500, (index) => ({
    'x-forwarded-for': `198.51.100.${index % 250}`,
    'x-buyer-ip': `198.51.100.${index % 250}`,
    forwarded: `for=198.51.100.${index % 250}`,
  }))
  const tried = `requests at a limit of ${POINTS}, each with another forged address, over two processes`
  verdict({ promise: 'P13', tried, n: 500, violations: wrongWith(forging, POINTS) })
})

test('Redis killed: limits stay on from what was known, no 5xx, nobody waits; Redis back: exact again', async () => {
  expect((await flood(60)).allowed).toBe(60)
  await redis.kill()
  const without = await flood(500)
  expect(await aloneMs()).toBeLessThan(90)
  await redis.start()
  // Each process knows what Redis last told it; from there each allows at most what is left.
  const violations = wrongWith(without, POINTS - 60, 2 * (POINTS - 60) + 10)
  violations.push(...(await exactAgain()))
  verdict({ promise: 'P13', tried: `requests at a limit of ${POINTS}, Redis killed and back`, n: 1_000, violations })
})

test('Redis silent (SIGSTOP): limits stay on, no 5xx, one wait of 100 ms; Redis back: exact again', async () => {
  await flood(60)
  redis.hang()
  const [first, then] = [await flood(40), await flood(460)]
  const waitMs = await aloneMs()
  redis.resume()
  expect(waitMs).toBeLessThan(90)
  const hung = { allowed: first.allowed + then.allowed, other: [...first.other, ...then.other] }
  const violations = wrongWith(hung, POINTS - 60, 2 * (POINTS - 60) + 10)
  violations.push(...(await exactAgain()))
  verdict({ promise: 'P13', tried: `requests at a limit of ${POINTS}, Redis silent and back`, n: 1_000, violations })
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
  const violations = wrongWith(sorted(statuses), points, 2 * points)
  verdict({ promise: 'P13', tried: `guesses at a login limit of ${points}, Redis away`, n: 300, violations })
})
