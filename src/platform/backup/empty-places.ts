import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startEmbedded } from '#platform/db/embedded.ts'
import { isServer, readPidFile } from '#platform/db/embedded-server.ts'
import { renameForGood } from '#platform/files/rename-for-good.ts'

/** An empty database for a backup to go into: kept when all went well, and else as it was before. It is closed by either. */
export type EmptyPlace = {
  readonly appUrl: string
  readonly ownerUrl: string
  /** Where a person finds it. */
  readonly place: string
  keep(): Promise<void>
  discard(): Promise<void>
}

/** A PostgreSQL of its own in a temporary folder, which nothing outlives. */
export async function emptyServer(): Promise<EmptyPlace> {
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-rehearsal-'))
  const remove = () => rm(dataDir, { recursive: true, force: true })
  const server = await startEmbedded({ dataDir, log: () => {}, durable: false }).catch(async (error) => {
    await remove()
    throw error
  })
  const end = () => server.stop().then(remove)
  return { ...server, place: 'a fresh PostgreSQL', keep: end, discard: end }
}

const ENDS_MS = 5_000

/** A new embedded database, filled beside its place and moved there whole. Refuses a folder that holds anything. */
export async function emptyFolder(dataDir: string): Promise<EmptyPlace> {
  if ((await readdir(dataDir).catch(() => [])).length > 0)
    throw new Error(`${dataDir} holds a database, and a backup is not restored over one: move that folder away first`)
  const unfinished = `${dataDir}.unfinished`
  if (await isBusy(unfinished)) throw new Error(`another restore into ${dataDir} is under way`)
  const remove = () => rm(unfinished, { recursive: true, force: true })
  await remove()
  const server = await startEmbedded({ dataDir: unfinished, log: () => {} })
  return {
    ...server,
    place: dataDir,
    keep: async () => {
      await server.stop()
      await renameForGood(unfinished, dataDir)
    },
    discard: () => server.stop().then(remove),
  }
}

/** Whether a server runs there to stay: one whose restore was killed ends by itself in a moment. */
async function isBusy(dataDir: string): Promise<boolean> {
  for (const until = Date.now() + ENDS_MS; ; await sleep(100)) {
    const running = await readPidFile(dataDir)
    if (!running || !(await isServer(running.pid, dataDir))) return false
    if (Date.now() > until) return true
  }
}

/** A database of yours, as its owner. Refuses one that holds anything; `log` is told when what was begun could not be removed. */
export async function emptyDatabase(
  appUrl: string,
  ownerUrl: string,
  log: (line: string) => void,
): Promise<EmptyPlace> {
  const place = `PostgreSQL at ${new URL(appUrl).host}${new URL(appUrl).pathname}`
  const [found] = await ask(ownerUrl, ANYTHING)
  if (found)
    throw new Error(
      `${place} is not empty (${found}), and a backup is not restored over anything: give DATABASE_URL a new database`,
    )
  const before = await ask(ownerUrl, SCHEMAS)
  const discard = async () => {
    for (const schema of await ask(ownerUrl, SCHEMAS))
      if (!before.includes(schema)) await ask(ownerUrl, `drop schema ${pg.escapeIdentifier(schema)} cascade`)
  }
  return {
    ...{ appUrl, ownerUrl, place },
    keep: async () => {},
    discard: () => discard().catch(() => log(`what was begun in ${place} could not be removed: drop that database`)),
  }
}

const SCHEMAS = `select nspname from pg_namespace where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')`
const ANYTHING = `select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e') limit 1`

/** The first column of what a statement answers. */
async function ask(url: string, statement: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query({ text: statement, rowMode: 'array' }).finally(() => client.end())
  return rows.map(([value]) => value as string)
}
