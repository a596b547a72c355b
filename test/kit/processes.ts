import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readOrMakeKeys } from '#platform/security/keys.ts'
import { send } from './buyer.ts'
import { freePort } from './free-port.ts'

const ROOT = join(import.meta.dirname, '../..')
const CLI = join(ROOT, 'src/cli.ts')
const SANDBOX = join(ROOT, 'src/sandbox/main.ts')
const READY_MS = 20_000
const KEPT_OUTPUT_BYTES = 100_000

type Environment = Record<string, string>
type Ended = { readonly code: number | null; readonly output: string }
export type DatabaseUrls = { readonly url: string; readonly ownerUrl: string }

/** A service as its operator runs it: a process of its own on a port of its own. */
export type Service = {
  readonly url: string
  /** What it printed so far. */
  output(): string
  /** Sends a signal and waits for the process to be gone; resolves with its exit code, null when a signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Starts it anew on the same port, with more environment if given; resolves when it is ready. */
  start(env?: Environment): Promise<void>
  readonly pid: () => number | undefined
  /** Whether the process has ended, by itself or not. */
  readonly isGone: () => boolean
}

export type Cluster = {
  readonly services: readonly [Service, ...Service[]]
  readonly sandboxUrl: string
  readonly sandboxKey: string
  readonly webhookSecret: string
  /** Runs `stoa …` on the shop; resolves with exit code and output. */
  readonly stoa: (...args: string[]) => Promise<Ended>
  /** The same with more environment. */
  readonly stoaWith: (env: Environment, ...args: string[]) => Promise<Ended>
  /** The headers of the owner, whose password the first service printed at its first start. */
  readonly asOwner: () => Promise<{ authorization: string }>
  /** Imports products with one variant each: handle → units on hand. */
  readonly stock: (units: Record<string, number>) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts so many service processes on one database, and the sandbox provider as a process beside them. */
export async function startCluster(
  database: DatabaseUrls,
  options: { services: number; env?: Environment },
): Promise<Cluster> {
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-cluster-'))
  process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  const keys = readOrMakeKeys(dataDir)
  const ports = await Promise.all(Array.from({ length: options.services + 1 }, freePort))
  const [sandboxPort = 0, ...servicePorts] = ports
  const sandboxUrl = `http://127.0.0.1:${sandboxPort}`
  const sandbox = await startSandboxProcess({
    port: sandboxPort,
    webhookUrl: `http://127.0.0.1:${servicePorts[0]}/v1/payments/webhook/sandbox`,
    secret: keys.SANDBOX_WEBHOOK_SECRET,
    apiKey: keys.SANDBOX_SECRET_KEY,
    journalFile: join(dataDir, 'sandbox.jsonl'),
  })
  const env: Environment = {
    NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/compiled'),
    NODE_ENV: 'test',
    LOG_LEVEL: 'error',
    SAMPLE_CATALOGUE: 'false',
    STOA_DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    DATABASE_OWNER_URL: database.ownerUrl,
    SANDBOX_URL: sandboxUrl,
    PUBLIC_URL: `http://127.0.0.1:${servicePorts[0]}`,
    DRAIN_MS: '2000',
    STAFF_MFA: 'optional',
    RATE_LIMITS: 'off',
    ...options.env,
  }
  const services = servicePorts.map((port) => service(port, env))
  for (const one of services) await one.start()
  let owner: { email: string; password: string } | undefined
  const stoaWith = (more: Environment, ...args: string[]) => runToEnd([CLI, ...args], { ...env, ...more })
  const stoa = (...args: string[]) => stoaWith({}, ...args)
  return {
    services: services as unknown as Cluster['services'],
    sandboxUrl,
    sandboxKey: keys.SANDBOX_SECRET_KEY,
    webhookSecret: keys.SANDBOX_WEBHOOK_SECRET,
    stoa,
    stoaWith,
    asOwner: async () => {
      owner ??= await ownerOf(services[0] as Service)
      const answered = services.find((one) => !one.isGone())?.url ?? ''
      const { status, body } = await send(answered, 'POST', '/v1/auth/login', owner)
      if (status !== 200) throw new Error(`The owner could not log in: ${status}`)
      return { authorization: `Bearer ${body.accessToken}` }
    },
    stock: async (units) => {
      const file = join(dataDir, 'stock.csv')
      await writeFile(file, csvOf(units))
      const { code, output } = await stoa('import', file)
      if (code !== 0) throw new Error(`The import failed: ${output}`)
    },
    stop: async () => {
      await Promise.all(services.map((one) => one.end('SIGTERM')))
      await sandbox.end('SIGTERM')
    },
  }
}

/** The owner's account, as the first start prints it once. */
async function ownerOf(first: Service): Promise<{ email: string; password: string }> {
  for (let waited = 0; waited < 5_000; waited += 50) {
    const [, email, password] = /(\S+@\S+)\s+password (\S+)/.exec(first.output()) ?? []
    if (email && password) return { email, password }
    await pause(50)
  }
  throw new Error('The first process has not printed its owner, or was started again since.')
}

/** A process of ours that answers HTTP. */
export type Running = {
  readonly pid: number
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>
}

/** Starts a program of ours; resolves when something answers at the URL. */
export async function startProcess(url: string, args: string[], env: Environment = {}): Promise<Running> {
  const launched = launch(args, env)
  await answers(url, launched)
  return { pid: launched.child.pid as number, end: (signal) => endOf(launched.child, signal) }
}

/** Starts the sandbox provider as a process of its own. */
export const startSandboxProcess = (options: {
  port: number
  webhookUrl: string
  secret: string
  apiKey: string
  journalFile: string
}): Promise<Running> =>
  startProcess(`http://127.0.0.1:${options.port}/`, [
    SANDBOX,
    ...['--port', String(options.port), '--webhook-url', options.webhookUrl],
    ...['--secret', options.secret, '--api-key', options.apiKey, '--journal', options.journalFile],
  ])

const csvOf = (units: Record<string, number>): string =>
  [
    'Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Requires Shipping,Variant Taxable',
    ...Object.entries(units).map(
      ([handle, quantity]) =>
        `${handle},${handle},,Stoa,Things,,true,Title,Default Title,${handle},500,shopify,${quantity},deny,10.00,true,true`,
    ),
  ].join('\n')

function service(port: number, env: Environment): Service {
  let running: Launched | undefined
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    output: () => running?.output() ?? '',
    pid: () => running?.child.pid,
    isGone: () => !running || running.child.exitCode !== null || running.child.signalCode !== null,
    end: async (signal) => (running ? endOf(running.child, signal) : null),
    start: async (more = {}) => {
      running = launch([CLI, 'serve'], { ...env, ...more, PORT: String(port) })
      await answers(`${url}/health/ready`, running)
    },
  }
}

/** Nothing that was started outlives the process that started it, however that ends short of a kill -9. */
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

type Launched = { readonly child: ChildProcess; readonly output: () => string }

function launch(args: string[], env: Environment): Launched {
  const child = spawn(process.execPath, ['--max-semi-space-size=8', ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  child.once('exit', () => children.delete(child))
  const chunks: Buffer[] = []
  let kept = 0
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      kept += chunk.length
      while (kept - (chunks[0] as Buffer).length > KEPT_OUTPUT_BYTES) kept -= (chunks.shift() as Buffer).length
    })
  return { child, output: () => Buffer.concat(chunks).toString() }
}

async function runToEnd(args: string[], env: Environment): Promise<Ended> {
  const { child, output } = launch(args, env)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output: output() }
}

async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const gone = once(child, 'exit')
  child.kill(signal)
  const [code] = (await gone) as [number | null]
  return code
}

/** Waits for an answer without a 5xx; fails with what the process printed when it ends first or takes too long. */
async function answers(url: string, { child, output }: Launched): Promise<void> {
  const until = Date.now() + READY_MS
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}:\n${output()}`)
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
    await response?.arrayBuffer()
    if (response && response.status < 500) return
    await pause(50)
  }
  child.kill('SIGKILL')
  throw new Error(`No answer from ${url}:\n${output()}`)
}
