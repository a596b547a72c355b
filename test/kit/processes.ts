import { rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readOrMakeKeys } from '#platform/security/keys.ts'
import { send } from './buyer.ts'
import { advanceClock } from './clock.ts'
import { freePort } from './free-port.ts'
import {
  answers,
  type Ended,
  type Environment,
  endOf,
  isGone,
  type Launched,
  launch,
  prints,
  runToEnd,
} from './launch.ts'

const ROOT = join(import.meta.dirname, '../..')
const CLI = join(ROOT, 'src/cli.ts')
const SANDBOX = join(ROOT, 'src/sandbox/main.ts')

export type DatabaseUrls = { readonly url: string; readonly ownerUrl: string }

/** A process of the shop, as its operator runs it. */
export type ShopProcess = {
  /** What it printed so far, before it was started anew too. */
  output(): string
  /** Sends a signal and waits for the process to be gone; resolves with its exit code, null when a signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Starts it anew, with more environment if given; resolves when it is ready. */
  start(env?: Environment): Promise<void>
  readonly pid: () => number | undefined
  /** Stops it in its tracks: its connections stay open, and silent. */
  hang(): void
  /** Lets it go on where it hung. */
  resume(): void
  /** Whether the process has ended, by itself or not. */
  readonly isGone: () => boolean
  /** How it ended, in words, each time that nobody ended it: those that were started with failpoints are not counted. */
  readonly fallen: () => readonly string[]
}

/** One that serves the API, on a port of its own. */
export type Service = ShopProcess & { readonly url: string }

export type Cluster = {
  readonly services: readonly [Service, ...Service[]]
  /** Processes that do the background work; without any the services do it beside the API. */
  readonly workers: readonly ShopProcess[]
  readonly sandboxUrl: string
  readonly sandboxKey: string
  readonly webhookSecret: string
  /** What its processes find in their environment, but for their port. */
  readonly env: Environment
  /** Runs `stoa …` on the shop; resolves with exit code and output. */
  readonly stoa: (...args: string[]) => Promise<Ended>
  /** The same with more environment. */
  readonly stoaWith: (env: Environment, ...args: string[]) => Promise<Ended>
  /** The headers of the owner, whose password the first service printed at its first start. */
  readonly asOwner: () => Promise<{ authorization: string }>
  /** Imports products with one variant each: handle → units on hand. */
  readonly stock: (units: Record<string, number>) => Promise<void>
  /** What all processes read their clock off. */
  readonly clockFile: string
  /** Moves the clock of all processes, the sandbox's too. */
  readonly advance: (minutes: number) => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts so many service and worker processes on one database, and the sandbox provider as a process beside them. */
export async function startCluster(
  database: DatabaseUrls,
  options: { services: number; workers?: number; env?: Environment },
): Promise<Cluster> {
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-cluster-'))
  process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  const keys = readOrMakeKeys(dataDir)
  const ports = await Promise.all(Array.from({ length: options.services + 1 }, freePort))
  const [sandboxPort = 0, ...servicePorts] = ports
  const sandboxUrl = `http://127.0.0.1:${sandboxPort}`
  const clockFile = join(dataDir, 'clock')
  const sandbox = await startSandboxProcess({
    port: sandboxPort,
    webhookUrl: `http://127.0.0.1:${servicePorts[0]}/v1/payments/webhook/sandbox`,
    secret: keys.SANDBOX_WEBHOOK_SECRET,
    apiKey: keys.SANDBOX_SECRET_KEY,
    journalFile: join(dataDir, 'sandbox.jsonl'),
    clockFile,
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
    CLOCK_FILE: clockFile,
    ...options.env,
  }
  const { workers: count = 0 } = options
  const services = servicePorts.map((port) => service(port, env, count === 0 ? [] : ['--no-worker']))
  const workers = Array.from({ length: count }, () => worker(env))
  for (const one of [...services, ...workers]) await one.start()
  const owner = ownerOf(services[0] as Service)
  owner.catch(() => {})
  const stoaWith = (more: Environment, ...args: string[]) => runToEnd([CLI, ...args], { ...env, ...more })
  const stoa = (...args: string[]) => stoaWith({}, ...args)
  return {
    services: services as unknown as Cluster['services'],
    workers,
    clockFile,
    sandboxUrl,
    sandboxKey: keys.SANDBOX_SECRET_KEY,
    webhookSecret: keys.SANDBOX_WEBHOOK_SECRET,
    env,
    stoa,
    stoaWith,
    asOwner: async () => {
      const answered = services.find((one) => !one.isGone())?.url ?? ''
      const { status, body } = await send(answered, 'POST', '/v1/auth/login', await owner)
      if (status !== 200) throw new Error(`The owner could not log in: ${status}`)
      return { authorization: `Bearer ${body.accessToken}` }
    },
    stock: async (units) => {
      const file = join(dataDir, 'stock.csv')
      await writeFile(file, csvOf(units))
      const { code, output } = await stoa('import', file)
      if (code !== 0) throw new Error(`The import failed: ${output}`)
    },
    advance: (minutes) => advanceClock(clockFile, minutes * 60_000),
    stop: async () => {
      await Promise.all([...services, ...workers].map((one) => one.end('SIGTERM')))
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
  clockFile?: string
}): Promise<Running> =>
  startProcess(
    `http://127.0.0.1:${options.port}/`,
    [
      SANDBOX,
      ...['--port', String(options.port), '--webhook-url', options.webhookUrl],
      ...['--secret', options.secret, '--api-key', options.apiKey, '--journal', options.journalFile],
    ],
    options.clockFile ? { CLOCK_FILE: options.clockFile } : {},
  )

const csvOf = (units: Record<string, number>): string =>
  [
    'Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Requires Shipping,Variant Taxable',
    ...Object.entries(units).map(
      ([handle, quantity]) =>
        `${handle},${handle},,Stoa,Things,,true,Title,Default Title,${handle},500,shopify,${quantity},deny,10.00,true,true`,
    ),
  ].join('\n')

function service(port: number, env: Environment, options: readonly string[]): Service {
  const url = `http://127.0.0.1:${port}`
  const isReady = (running: Launched) => answers(`${url}/health/ready`, running)
  return { url, ...shopProcess(['serve', ...options], { ...env, PORT: String(port) }, isReady) }
}

const worker = (env: Environment): ShopProcess => shopProcess(['worker'], env, (running) => prints(running, /Worker/))

const tailOf = ({ output }: Launched): string => output().trim().split('\n').at(-1) ?? ''

function shopProcess(
  command: readonly string[],
  env: Environment,
  isReady: (running: Launched) => Promise<void>,
): ShopProcess {
  let running: Launched | undefined
  let before = ''
  const fallen: string[] = []
  const ended = new WeakSet<Launched>()
  const output = () => before + (running?.output() ?? '')
  return {
    output,
    pid: () => running?.child.pid,
    hang: () => void running?.child.kill('SIGSTOP'),
    resume: () => void running?.child.kill('SIGCONT'),
    isGone: () => !running || isGone(running.child),
    fallen: () => fallen,
    end: async (signal) => {
      if (!running) return null
      ended.add(running)
      return endOf(running.child, signal)
    },
    start: async (more = {}) => {
      before = output()
      const started = launch([CLI, ...command], { ...env, ...more })
      running = started
      if (!('FAILPOINTS' in more))
        started.child.once('exit', (code, signal) => {
          if (!ended.has(started))
            fallen.push(`${command[0]} ended by itself with ${code ?? signal}: ${tailOf(started)}`)
        })
      await isReady(started)
    },
  }
}
