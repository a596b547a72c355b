import { rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbedded } from '#platform/db/embedded.ts'
import { freePort } from '../test/kit/free-port.ts'
import { type Cluster, startCluster, startProcess, startSandboxProcess } from '../test/kit/processes.ts'
import { catalogueCsv } from './catalogue.ts'

export type Server = { readonly url: string; readonly pid: number }
export type BenchShop = {
  readonly service: Server
  /** The hand-written twin, on a copy of the database, with a sandbox of its own. */
  readonly twin: Server & { readonly databaseUrl: string }
  readonly postgres: string
  /** From the service's start to its first answer, with the database up. */
  readonly startMs: number
  readonly stoa: Cluster['stoa']
  readonly stop: () => Promise<void>
}

const COMPILED = join(import.meta.dirname, '../node_modules/.cache/compiled')
const TWIN = join(import.meta.dirname, 'twin/main.ts')

/** One service process on an embedded PostgreSQL with 1,000 products of two variants, and the twin beside it. */
export async function openBenchShop(say: (line: string) => void): Promise<BenchShop> {
  const closing: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }
  try {
    say('starting PostgreSQL and the service')
    const dataDir = await mkdtemp(join(tmpdir(), 'stoa-bench-'))
    process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }))
    const database = await startEmbedded({ dataDir, log: () => {} })
    closing.push(() => database.stop())
    const env = { LOG_LEVEL: 'info', RATE_LIMITS: 'off', STAFF_MFA: 'optional', NODE_COMPILE_CACHE: COMPILED }
    const cluster = await startCluster({ url: database.appUrl, ownerUrl: database.ownerUrl }, { services: 1, env })
    closing.push(() => cluster.stop())
    say('importing 1,000 products')
    const file = join(dataDir, 'catalogue.csv')
    await writeFile(file, catalogueCsv())
    const imported = await cluster.stoa('import', file)
    if (imported.code !== 0) throw new Error(imported.output)
    const [service] = cluster.services
    await service.end('SIGTERM')
    const { twinUrl, postgres } = await copyDatabase(database)
    say('starting the service again, and the twin')
    const start = performance.now()
    await service.start()
    const startMs = Math.round(performance.now() - start)
    const twin = await startTwin(twinUrl, dataDir, closing)
    return {
      service: { url: service.url, pid: service.pid() as number },
      twin: { ...twin, databaseUrl: twinUrl },
      postgres,
      startMs,
      stoa: cluster.stoa,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function copyDatabase({ appUrl, ownerUrl }: { appUrl: string; ownerUrl: string }) {
  const adminUrl = ownerUrl.replace('//stoa_owner', '//postgres').replace(/\/stoa$/, '/postgres')
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query('create database stoa_twin owner stoa_owner template stoa')
  const { rows } = await admin.query('show server_version')
  await admin.end()
  return { twinUrl: appUrl.replace(/\/stoa$/, '/stoa_twin'), postgres: String(rows[0].server_version) }
}

async function startTwin(databaseUrl: string, dataDir: string, closing: (() => Promise<unknown>)[]): Promise<Server> {
  const [port, sandboxPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const keys = { secret: 'a secret of the benchmark', apiKey: 'a key of the benchmark' }
  const journalFile = join(dataDir, 'twin.jsonl')
  const webhookUrl = `${url}/v1/payments/webhook/sandbox`
  const sandbox = await startSandboxProcess({ port: sandboxPort, webhookUrl, ...keys, journalFile })
  closing.push(() => sandbox.end('SIGTERM'))
  const twin = await startProcess(url, [
    ...[TWIN, '--port', String(port), '--database', databaseUrl, '--sandbox', `http://127.0.0.1:${sandboxPort}`],
    ...['--api-key', keys.apiKey, '--secret', keys.secret],
  ])
  closing.push(() => twin.end('SIGTERM'))
  return { url, pid: twin.pid }
}
