import { createServer } from 'node:net'
import pc from 'picocolors'
import { buildApp } from './app.ts'
import { connect, prepare } from './cli/connect.ts'
import { knownSandboxUrl, startSandboxBeside } from './cli/sandbox.ts'
import { type Config, readConfig } from './config.ts'
import { makeOwner, stockShelves } from './first-run.ts'
import { welcome } from './welcome.ts'

const TWICE_MS = 500
/** What closing everything may take once the drain is over: requests 8 s, then jobs 7 s; within what orchestrators wait. */
const LEAVE_MS = 15_000

type Duties = { readonly listen: boolean; readonly work: boolean }
type Opened = { close(): Promise<unknown> }[]

/**
 * The process: starts what the shop needs, in order, and runs until SIGINT or SIGTERM; then ends requests, background work
 * and database in that order and leaves with 0. What has not ended 15 s after the drain, such as a migration whose database is
 * silent, is left undone, with 1. A later signal leaves at once; the embedded database ends in any case.
 */
export async function run(duties: Duties): Promise<void> {
  const opened: Opened = []
  let leaving = false
  let askedAt = 0
  const config = readConfig()
  const leave = async () => {
    leaving = true
    for (const one of opened.splice(0).reverse()) await one.close()
  }
  const starting = start(
    config,
    duties,
    opened,
    () => leaving || fail('PostgreSQL ended by itself: see server.log in its folder'),
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // npm and make pass on the signal that the terminal has sent us already.
      if (askedAt && Date.now() - askedAt > TWICE_MS) process.exit(130)
      if (askedAt) return
      askedAt = Date.now()
      leaving = true
      console.log(`\n${signal}: finishing what is under way`)
      setTimeout(giveUp, config.drainMs + LEAVE_MS)
      starting
        .catch(() => {})
        .then(leave)
        .then(() => process.exit(0), fail)
    })
  try {
    console.log(await starting)
  } catch (error) {
    if (leaving) return
    await leave()
    throw error
  }
}

async function start(read: Config, duties: Duties, opened: Opened, onDatabaseEnd: () => void): Promise<string> {
  const config = await withPort(read)
  const connection = await connect(config, say)
  opened.push(connection)
  connection.ended?.then(onDatabaseEnd)
  await prepare(connection, config, say)
  const sandboxUrl = await openSandbox(config, duties, opened)
  const app = await buildApp({ ...config, sandboxUrl }, { databaseUrl: connection.appUrl })
  opened.push(app)
  await stockShelves(app, say)
  if (duties.work) await app.startWork()
  if (duties.listen) await app.http.listen({ host: config.host, port: config.port })
  const owner = await makeOwner(app)
  return welcome(app, { ...duties, place: connection.place, owner, sandboxUrl })
}

const say = (line: string) => console.log(pc.dim(line))

function giveUp(): never {
  console.error(
    `stoa: did not end within ${LEAVE_MS / 1_000} s; left undone what waits for the database or a server outside`,
  )
  process.exit(1)
}

function fail(reason: unknown): never {
  console.error('stoa:', reason)
  process.exit(1)
}

/** Port 0 means any free one; the sandbox must know it before we listen. */
async function withPort(config: Config): Promise<Config> {
  if (config.port !== 0) return config
  const probe = createServer()
  await new Promise<void>((listening) => probe.listen(0, config.host, listening))
  const { port } = probe.address() as { port: number }
  await new Promise((closed) => probe.close(closed))
  return { ...config, port, publicUrl: config.publicUrl.replace(/:0$/, `:${port}`) }
}

async function openSandbox(config: Config, { listen }: Duties, opened: Opened) {
  if (!config.paymentProviders.includes('sandbox') || !listen) return knownSandboxUrl(config)
  const sandbox = await startSandboxBeside(config)
  opened.push(sandbox)
  return sandbox.url
}
