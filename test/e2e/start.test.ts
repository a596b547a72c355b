import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

const stoa = fileURLToPath(new URL('../../bin/stoa', import.meta.url))
const buy = fileURLToPath(new URL('../../scripts/buy.mjs', import.meta.url))
let dataDir: string
const running: ChildProcess[] = []

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'stoa-start-'))
  // As root, PostgreSQL runs as a user of its own, who must reach the data.
  await chmod(dataDir, 0o755)
})
afterEach(async () => {
  for (const child of running.splice(0)) if (child.exitCode === null && child.kill('SIGTERM')) await once(child, 'exit')
})
afterAll(() => rm(dataDir, { recursive: true, force: true }))

const env = (more: Record<string, string> = {}) => ({
  ...process.env,
  STOA_DATA_DIR: dataDir,
  NODE_ENV: '',
  RATE_LIMITS: 'off',
  ...more,
})

/** Starts the shop on a free port and waits until it says where it is. */
async function serve(): Promise<{ child: ChildProcess; said: string; url: string }> {
  const child = spawn(stoa, ['serve'], { env: env({ PORT: '0' }), cwd: tmpdir(), stdio: ['ignore', 'pipe', 'inherit'] })
  running.push(child)
  let said = ''
  child.stdout!.on('data', (chunk) => {
    said += chunk
  })
  await expect
    .poll(() => said.includes('ready') || child.exitCode !== null, { timeout: 60_000, interval: 20 })
    .toBe(true)
  expect(said).toContain('Stoa is ready')
  return { child, said, url: /http:\/\/localhost:\d+/.exec(said)![0] }
}

const serverPid = async () => Number((await readFile(join(dataDir, 'pg/postmaster.pid'), 'utf8')).split('\n')[0])
const isAlive = (pid: number) =>
  /^[^Z]/.test(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim())

test('a first start makes a shop that sells, and tells the owner the password once', { timeout: 90_000 }, async () => {
  const { child, said, url } = await serve()
  expect(said).toMatch(/Owner +owner@stoa\.example +password \S{16,}/)
  expect(said).toContain('enrols a second factor first')
  expect((await fetch(`${url}/health/ready`)).status).toBe(200)
  const bought = spawn(process.execPath, [buy, '--json'], { env: env({ SHOP_URL: url }) })
  const journey = JSON.parse(await text(bought))
  expect(journey).toMatchObject({ paid: true, steps: expect.any(Array) })
  expect(spawnSync(stoa, ['replay'], { env: env(), encoding: 'utf8' }).stdout).toBe('nothing is parked\n')
  const pid = await serverPid()
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(isAlive(pid)).toBe(false)
})

test('a second start takes up to 3 s, and tells no password', async () => {
  const before = performance.now()
  const { said } = await serve()
  // On cores that others use as well everything takes longer.
  const crowd = Math.max(1, loadavg()[0]! / availableParallelism())
  expect((performance.now() - before) / crowd).toBeLessThan(3_000)
  expect(said).not.toContain('password')
})

test('killed with -9 it takes the database along, and starts again', async () => {
  const { child } = await serve()
  const pid = await serverPid()
  child.kill('SIGKILL')
  await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false)
  expect((await fetch(`${(await serve()).url}/health`)).status).toBe(200)
})

test('a port that is taken, and a wrong variable, are told in one line', async () => {
  const { url } = await serve()
  const port = new URL(url).port
  const taken = spawnSync(stoa, ['serve'], { env: env({ PORT: port }), encoding: 'utf8' })
  expect(taken.status).toBe(1)
  expect(taken.stderr).toMatch(new RegExp(`^stoa: .*${port}.*\\n$`))
  const wrong = spawnSync(stoa, ['serve'], { env: env({ PORT: 'x' }), encoding: 'utf8' })
  expect(wrong.status).toBe(1)
  expect(wrong.stderr).toMatch(/^stoa: PORT must be .*\n$/)
})

async function text(child: ChildProcess): Promise<string> {
  let all = ''
  for await (const chunk of child.stdout!) all += chunk
  return all
}
