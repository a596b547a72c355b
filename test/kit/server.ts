import { rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { endOf, isGone, type Launched } from './launch.ts'

/** A server of a test's own, to be broken: each kind in the same words, as PostgreSQL in postgres.ts. */
export type TestServer = {
  /** It dies at once, as in a crash of its machine. */
  kill(): Promise<void>
  /** Stops it in its tracks: connections stay open, and silent. */
  hang(): void
  resume(): void
  /** Ends it in order, as an operator does. */
  end(): Promise<void>
  /** Starts it again on its ports and what it kept; resolves when it answers. */
  start(): Promise<void>
  /** Ends it and removes what it kept. */
  stop(): Promise<void>
}

const READY_MS = 60_000

/** A server that is one process and keeps everything in one folder; it ends with the process that started it. */
export function serverIn(folder: string, run: () => Launched, isReady: () => Promise<boolean>): TestServer {
  let running: Launched | undefined
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const end = async (signal: NodeJS.Signals) => {
    if (running) await endOf(running.child, signal)
  }
  return {
    kill: () => end('SIGKILL'),
    hang: () => void running?.child.kill('SIGSTOP'),
    resume: () => void running?.child.kill('SIGCONT'),
    end: () => end('SIGTERM'),
    start: async () => {
      const started = run()
      running = started
      for (const until = Date.now() + READY_MS; !(await isReady()); await pause(20)) {
        if (isGone(started.child)) throw new Error(`It ended: ${started.output()}`)
        if (Date.now() > until) throw new Error(`It does not answer: ${started.output()}`)
      }
    },
    stop: async () => {
      await end('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
