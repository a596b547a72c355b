import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRedis, type Redis } from '#platform/cache/redis.ts'
import { countHere } from '#platform/limits/here.ts'
import { makeLimits } from '#platform/limits/limits.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { fixedEncryption } from '../kit/key-ring.ts'
import { startRedis, type TestRedis } from '../kit/redis.ts'

const encryption = fixedEncryption()
const log = makeLog({ level: 'silent', sync: true })
const clock = () => new Date()
const tenAMinute = { points: 10, seconds: 60 }

/** How many of so many takes at once are allowed. */
async function allowedOf(count: number, take: (index: number) => Promise<{ allowed: boolean }>) {
  const taken = await Promise.all(Array.from({ length: count }, (_, index) => take(index)))
  return taken.filter(({ allowed }) => allowed).length
}

describe('in one process', () => {
  const time = { now: new Date('2026-01-01T00:00:00Z') }
  const one = (enabled = true) => makeLimits({ enabled, clock: () => time.now, encryption, redis: undefined })

  test('so many points are given in a window, and again in the next', async () => {
    const limiter = one().define('login', tenAMinute)
    expect(await allowedOf(25, () => limiter.take('a'))).toBe(10)
    expect(await limiter.take('a')).toEqual({ allowed: false, remaining: 0, retryAfterSeconds: 60 })
    expect(await limiter.take('b')).toEqual({ allowed: true, remaining: 9, retryAfterSeconds: 60 })
    time.now = new Date(time.now.getTime() + 59_500)
    expect(await limiter.take('a')).toMatchObject({ allowed: false, retryAfterSeconds: 1 })
    time.now = new Date(time.now.getTime() + 500)
    expect(await limiter.take('a')).toMatchObject({ allowed: true, remaining: 9 })
  })

  test('peek takes nothing, forget begins anew, points given back count again, a cost takes several', async () => {
    const limiter = one().define('login', tenAMinute)
    expect(await limiter.peek('a')).toMatchObject({ allowed: true, remaining: 10 })
    expect(await limiter.take('a', 10)).toMatchObject({ allowed: true, remaining: 0 })
    expect(await limiter.peek('a')).toMatchObject({ allowed: false, remaining: 0 })
    await limiter.giveBack('a', 3)
    expect(await limiter.peek('a')).toMatchObject({ allowed: true, remaining: 3 })
    await limiter.forget('a')
    await limiter.giveBack('a')
    expect(await limiter.peek('a')).toMatchObject({ allowed: true, remaining: 10 })
  })

  test('an e-mail address is one key however it is written', async () => {
    const limiter = one().define('login', tenAMinute)
    await limiter.take('Ann@Example.com', 10)
    expect(await limiter.take(' ann@example.COM ')).toMatchObject({ allowed: false })
  })

  test('switched off, everything is allowed', async () => {
    const limiter = one(false).define('login', { points: 1, seconds: 60 })
    expect(await allowedOf(50, () => limiter.take('a'))).toBe(50)
    expect(await limiter.peek('a')).toMatchObject({ allowed: true })
  })

  test('two limits cannot have one name', () => {
    const limits = one()
    limits.define('login', tenAMinute)
    expect(() => limits.define('login', tenAMinute)).toThrow('two limits named login')
  })

  test('a flood of keys forgets the oldest instead of filling the memory', () => {
    const here = countHere(() => time.now, 60, 100)
    for (let key = 0; key < 1_000; key++) here.add(String(key), 1)
    expect(here.read('0').used).toBe(0)
    expect(here.read('899').used).toBe(0)
    expect(here.read('900').used).toBe(1)
    expect(here.read('999').used).toBe(1)
  })
})

describe('with Redis', () => {
  let server: TestRedis
  const opened: Redis[] = []
  const process = async () => {
    const redis = openRedis({ url: server.url, log })
    opened.push(redis)
    await redis.connect()
    return makeLimits({ enabled: true, clock, encryption, redis })
  }
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(async () => {
    for (const redis of opened) redis.close()
    await server?.stop()
  })

  test('two processes count together, and exactly', async () => {
    const [a, b] = [(await process()).define('both', tenAMinute), (await process()).define('both', tenAMinute)]
    expect(await allowedOf(200, (index) => (index % 2 ? a : b).take('key'))).toBe(10)
    expect(await a.peek('key')).toMatchObject({ allowed: false, remaining: 0 })
    await b.forget('key')
    expect(await a.peek('key')).toEqual({ allowed: true, remaining: 10, retryAfterSeconds: 60 })
    await a.take('key', 10)
    await b.giveBack('key', 2)
    expect(await a.peek('key')).toMatchObject({ allowed: true, remaining: 2 })
  })

  test('the window is Redis’s own', async () => {
    const limiter = (await process()).define('short', { points: 1, seconds: 1 })
    expect(await limiter.take('key')).toMatchObject({ allowed: true })
    expect(await limiter.take('key')).toMatchObject({ allowed: false, retryAfterSeconds: 1 })
    await pause(1_100)
    expect(await limiter.take('key')).toMatchObject({ allowed: true })
  })

  test('Redis holds no personal data: neither in keys nor in values', async () => {
    const limiter = (await process()).define('private', tenAMinute)
    await limiter.take('ann@example.com')
    await limiter.take('203.0.113.9')
    const keys = await server.command('KEYS *private*')
    expect(keys.match(/stoa:limit:private:[\w-]{43}\r/g)).toHaveLength(2)
    expect(keys).not.toMatch(/ann|203/)
  })

  test('a refused command costs nothing: each process counts for itself', async () => {
    const limiter = (await process()).define('readonly', tenAMinute)
    await limiter.take('key', 4)
    await server.command('CONFIG SET min-replicas-to-write 1')
    expect(await limiter.take('key')).toMatchObject({ allowed: true, remaining: 5 })
    expect(await allowedOf(20, () => limiter.take('key'))).toBe(5)
    await server.command('CONFIG SET min-replicas-to-write 0')
    expect(await limiter.take('key')).toMatchObject({ allowed: true, remaining: 5 })
  })

  test('a silent Redis costs 100 ms once, then nothing; limits stay on, and it heals by itself', async () => {
    const limiter = (await process()).define('silent', tenAMinute)
    expect(await limiter.take('key', 6)).toMatchObject({ allowed: true, remaining: 4 })
    server.hang()
    const started = performance.now()
    expect(await limiter.take('key')).toMatchObject({ allowed: true, remaining: 3 })
    const first = performance.now()
    for (let index = 0; index < 20; index++) expect(await limiter.take('key')).toMatchObject({ allowed: index < 3 })
    const then = performance.now()
    server.resume()
    expect(first - started).toBeLessThan(500)
    expect(then - first).toBeLessThan(1_000) // at 100 ms each it would be 2,000
    expect(
      await eventually(
        () => limiter.peek('key'),
        ({ remaining }) => remaining > 0,
      ),
    ).toBeLessThan(3_000)
  })

  test('a Redis that is gone costs nothing; limits stay on, and it heals by itself', async () => {
    const limiter = (await process()).define('gone', tenAMinute)
    await limiter.take('key', 9)
    await server.kill()
    const started = performance.now()
    for (let index = 0; index < 20; index++) expect(await limiter.take('key')).toMatchObject({ allowed: index < 1 })
    expect(performance.now() - started).toBeLessThan(1_000)
    await server.start()
    expect(
      await eventually(
        () => limiter.peek('key'),
        ({ remaining }) => remaining === 10,
      ),
    ).toBeLessThan(3_000)
  })
})

/** Milliseconds until it is so. */
async function eventually<Value>(read: () => Promise<Value>, isSo: (value: Value) => boolean): Promise<number> {
  const started = performance.now()
  while (!isSo(await read()) && performance.now() - started < 10_000) await pause(20)
  return performance.now() - started
}
