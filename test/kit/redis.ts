import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask } from './ask.ts'
import { freePort } from './free-port.ts'
import { launchProgram } from './launch.ts'
import { serverIn, type TestServer } from './server.ts'

export type TestRedis = TestServer & {
  readonly url: string
  /** What a raw command answers, as it came over the wire. */
  command(line: string): Promise<string>
}

/** A real redis-server (Debian: redis-server) on a free port, which keeps nothing: started again, it is empty. */
export async function startRedis(): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-redis-'))
  const port = await freePort()
  const settings = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir: folder, databases: 1 }
  const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const command = async (line: string) => (await ask(port, `${line}\r\n`)).toString()
  const isReady = async () => (await command('PING').catch(() => '')) === '+PONG\r\n'
  const run = () => launchProgram('redis-server', options, { env: { PATH: process.env.PATH ?? '' } })
  const redis = { ...serverIn(folder, run, isReady), url: `redis://127.0.0.1:${port}`, command }
  await redis.start()
  return redis
}
