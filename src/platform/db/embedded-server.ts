import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chown, lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Binaries, stateFolder } from './embedded-binaries.ts'

const LOG_FILE = 'server.log'
const NO_PROCESS = 2 ** 22 + 1
export const STOP_MS = 30_000

/** Says the server's id, and stops it when the pipe on stdin closes: the kernel does that however our process ends. */
const SUPERVISOR = `exec 3<&0
"$0" "$@" </dev/null 3<&- >&2 & server=$!
echo $server
(while read -r _ <&3; do :; done; kill -INT $server) & watch=$!
wait $server; code=$?
kill $watch 2>/dev/null
exit $code`

export type Options = {
  readonly dataDir: string
  readonly log: (line: string) => void
  /** False only in tests that need speed more than what they wrote. */
  readonly durable?: boolean
}

/** The shell that watches a server, and the server's own id. */
export type Server = { readonly shell: ChildProcess; readonly pid: number }

/** Made beside its place and moved there whole, so that a kill half-way leaves nothing that looks like a database. */
export async function initialise(binaries: Binaries, { dataDir, log, durable }: Options): Promise<void> {
  const present = await readdir(dataDir).catch(() => [] as string[])
  if (present.includes('PG_VERSION')) return
  if (present.length) throw new Error(`${dataDir} is neither empty nor a database`)
  log(`making a database in ${dataDir}`)
  await mkdir(dirname(dataDir), { recursive: true })
  const made = await mkdtemp(`${dataDir}-`)
  try {
    await give(made, binaries)
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    const sync = durable === false ? ['--no-sync'] : []
    const flags = ['-D', made, '-U', 'postgres', '-A', 'trust', '--no-instructions', ...locale, ...sync]
    await promisify(execFile)(binaries.initdb, flags, spawnAs(binaries, made))
    await rename(made, dataDir)
  } catch (error) {
    await rm(made, { recursive: true, force: true })
    if ((await readdir(dataDir).catch(() => [] as string[])).includes('PG_VERSION')) return
    const { stderr = '', message } = error as Error & { stderr?: string }
    const reason = stderr.trim().split('\n').at(-1) || message
    const hint = binaries.runAs ? '; root starts it as a user of its own, who must reach that folder' : ''
    throw new Error(`no database could be made in ${dataDir}: ${reason}${hint}`)
  }
}

/** A short path of this data folder alone: the address of a unix socket has 107 bytes. Nobody else may have made it. */
export async function socketFolder(dataDir: string, binaries: Binaries): Promise<string> {
  const name = `stoa-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`
  const folder = join(binaries.runAs ? stateFolder() : tmpdir(), name)
  await mkdir(folder, { mode: 0o700 }).then(
    () => give(folder, binaries),
    () => {},
  )
  const { uid, mode } = await lstat(folder)
  const expected = binaries.runAs?.uid ?? process.getuid?.()
  if (uid !== expected || (mode & 0o170777) !== 0o040700)
    throw new Error(`${folder} belongs to somebody else: remove it`)
  return folder
}

const give = async (folder: string, { runAs }: Binaries) => runAs && chown(folder, runAs.uid, runAs.gid)

const spawnAs = ({ runAs }: Binaries, cwd: string) => ({
  cwd,
  env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  ...runAs,
})

const settings = (sockets: string, durable = true) => ({
  listen_addresses: '',
  unix_socket_directories: sockets,
  unix_socket_permissions: '0700',
  // Each process takes about 30: its pool, its jobs, its ear for events.
  max_connections: '300',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  random_page_cost: '1.1',
  jit: 'off',
  // What a failed statement carried may be personal: the log says what went wrong, not with what.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  ...(durable ? {} : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }),
})

export async function spawnServer(binaries: Binaries, sockets: string, { dataDir, durable }: Options): Promise<Server> {
  const log = await open(join(dataDir, LOG_FILE), 'w')
  const flags = Object.entries(settings(sockets, durable)).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const shell = spawn('/bin/sh', ['-c', SUPERVISOR, binaries.postgres, '-D', dataDir, ...flags], {
    ...spawnAs(binaries, dataDir),
    detached: true,
    stdio: ['pipe', 'pipe', log.fd],
  })
  const [said] = (await once(shell.stdout!, 'data')) as [Buffer]
  await log.close()
  shell.stdout!.destroy()
  return { shell, pid: Number(said) }
}

export async function stopServer({ shell }: Server): Promise<void> {
  if (shell.exitCode !== null || shell.signalCode !== null) return
  const gone = once(shell, 'exit')
  shell.stdin!.end()
  await Promise.race([gone, sleep(STOP_MS, undefined, { ref: false })])
}

export async function readPidFile(dataDir: string): Promise<{ pid: number; sockets: string } | null> {
  const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const pid = Number(lines[0])
  return Number.isInteger(pid) && pid > 0 ? { pid, sockets: lines[4] ?? '' } : null
}

/** Whether this process id is alive and a PostgreSQL of this data folder; ids are used again after a restart of the machine. */
export async function isServer(pid: number, dataDir: string): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() =>
    promisify(execFile)('ps', ['-o', 'args=', '-p', String(pid)]).then(
      ({ stdout }) => stdout,
      () => '',
    ),
  )
  return command.includes('postgres') && command.includes(dataDir)
}

/**
 * PostgreSQL takes any living process with the id in its old file for itself. The id becomes one that is never given out; the
 * rest of the file stays, for by it PostgreSQL knows whether processes of the dead server still write.
 */
export async function disownPidFile(dataDir: string): Promise<void> {
  const file = join(dataDir, 'postmaster.pid')
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^\d+/, String(NO_PROCESS)))
}

/** What the server said last, to tell why it did not start. */
export async function lastLine(dataDir: string): Promise<string> {
  const text = await readFile(join(dataDir, LOG_FILE), 'utf8').catch(() => '')
  return text.trim().split('\n').at(-1)!
}
