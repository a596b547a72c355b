import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from './free-port.ts'

export type TestRedis = {
  readonly url: string
  /** Sends a signal: SIGSTOP leaves its connections open and silent, SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void
  /** Ends it as a crash does; resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again on the same port, empty; resolves when it answers. */
  start(): Promise<void>
  /** What a raw command answers, as it came over the wire. */
  command(line: string): Promise<string>
  stop(): Promise<void>
}

/** A real redis-server on a free port, which keeps nothing on disk; it ends with the process that started it. */
export async function startRedis(): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-redis-'))
  const port = await freePort()
  let child: ChildProcess | undefined
  process.on('exit', () => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const command = (line: string) => rawCommand(port, line)
  const redis: TestRedis = {
    url: `redis://127.0.0.1:${port}`,
    signal: (signal) => void child?.kill(signal),
    kill: async () => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
    start: async () => {
      const settings = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir: folder, databases: 1 }
      const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
      child = spawn('redis-server', options, { stdio: 'ignore' })
      for (let waited = 0; waited < 5_000; waited += 20) {
        if ((await command('PING').catch(() => '')) === '+PONG\r\n') return
        await pause(20)
      }
      throw new Error('redis-server does not answer: is Debian package redis-server installed?')
    },
    command,
    stop: async () => {
      await redis.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await redis.start()
  return redis
}

function rawCommand(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(2_000, () => socket.destroy(new Error('Redis is silent.')))
    socket.once('error', reject)
    socket.once('data', (data) => {
      resolve(data.toString())
      socket.destroy()
    })
    socket.write(`${line}\r\n`)
  })
}
