import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { makeShopDatabase } from '#platform/db/roles.ts'
import { freePort } from './free-port.ts'
import { endOf, launchProgram } from './launch.ts'
import { takesConnections } from './postgres.ts'
import type { DatabaseUrls } from './processes.ts'

const BIN = '/usr/lib/postgresql/15/bin'

/** Whether the oldest PostgreSQL that we support is installed here, as Debian packs it. */
export const hasDebianPostgres = existsSync(join(BIN, 'postgres'))

export type DebianPostgres = {
  /** Makes an empty database for a shop, and the shop's roles where they are missing. */
  makeDatabase(name: string): Promise<DatabaseUrls>
  stop(): Promise<void>
}

/** Starts Debian's PostgreSQL 15 on a free port in a folder of its own; it ends with the process that started it. */
export async function startDebianPostgres(): Promise<DebianPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-debian-'))
  process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const runAs = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  if (runAs.uid) chownSync(dataDir, runAs.uid, runAs.gid)
  const as = { cwd: dataDir, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, ...runAs }
  const flags = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync']
  execFileSync(join(BIN, 'initdb'), ['-D', dataDir, ...flags], { ...as, stdio: 'ignore' })
  const port = await freePort()
  const settings = ['-p', String(port), '-k', dataDir, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off']
  const server = launchProgram(join(BIN, 'postgres'), ['-D', dataDir, ...settings], as)
  const urlOf = (role: string, database: string) => `postgres://${role}@127.0.0.1:${port}/${database}`
  await takesConnections(urlOf('postgres', 'postgres'), server)
  const admin = new pg.Client({ connectionString: urlOf('postgres', 'postgres') })
  admin.on('error', () => {})
  await admin.connect()
  return {
    makeDatabase: async (name) => {
      await makeShopDatabase(admin, name)
      return { url: urlOf('stoa_app', name), ownerUrl: urlOf('stoa_owner', name) }
    },
    stop: async () => {
      await admin.end()
      await endOf(server.child, 'SIGINT')
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
