import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const LOADED_BEFORE = ['failpoints.ts', 'clock.ts'].flatMap((file) => ['--import', join(import.meta.dirname, file)])
const READY_MS = 20_000
const KEPT_OUTPUT_BYTES = 100_000

export type Environment = Record<string, string>
export type Ended = { readonly code: number | null; readonly output: string }

/** A process that a test started. */
export type Launched = { readonly child: ChildProcess; readonly output: () => string }

/** Nothing that was started outlives the process that started it, however that ends short of a kill -9. */
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** Starts a program of ours, with the failpoints and the clock that its environment names. */
export function launch(args: readonly string[], env: Environment): Launched {
  return launchProgram(process.execPath, ['--max-semi-space-size=8', ...LOADED_BEFORE, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
  })
}

/** Starts any program, and keeps the end of what it prints. */
export function launchProgram(
  program: string,
  args: readonly string[],
  options: { readonly env: Environment; readonly cwd?: string; readonly uid?: number; readonly gid?: number },
): Launched {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
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

export const isGone = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** Runs a program of ours to its end. */
export async function runToEnd(args: readonly string[], env: Environment): Promise<Ended> {
  const { child, output } = launch(args, env)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output: output() }
}

/** Sends a signal and waits for the process to be gone; resolves with its exit code, null when a signal ended it. A hung one is let go on, to hear it. */
export async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (isGone(child)) return child.exitCode
  const gone = once(child, 'exit')
  child.kill(signal)
  child.kill('SIGCONT')
  const [code] = (await gone) as [number | null]
  return code
}

/** Waits for an answer without a 5xx; fails with what the process printed when it ends first or takes too long. */
export async function answers(url: string, { child, output }: Launched): Promise<void> {
  const until = Date.now() + READY_MS
  while (Date.now() < until) {
    if (isGone(child)) throw new Error(endedWith(child, output()))
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
    await response?.arrayBuffer()
    if (response && response.status < 500) return
    await pause(50)
  }
  child.kill('SIGKILL')
  throw new Error(`No answer from ${url}:\n${output()}`)
}

/** Waits until the process has printed it; fails when it ends first or takes too long. */
export async function prints({ child, output }: Launched, what: RegExp): Promise<void> {
  for (const until = Date.now() + READY_MS; Date.now() < until; await pause(20)) {
    if (what.test(output())) return
    if (isGone(child)) throw new Error(endedWith(child, output()))
  }
  throw new Error(`In ${READY_MS} ms it did not say ${what}:\n${output()}`)
}

const endedWith = (child: ChildProcess, output: string): string =>
  `It ended with ${child.exitCode ?? child.signalCode}:\n${output}`
