import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ask } from './ask.ts'
import { startPostgres } from './postgres.ts'
import { hasRabbitmq, startRabbitmq } from './rabbitmq.ts'
import { startRedis } from './redis.ts'
import type { TestServer } from './server.ts'

type Kind = {
  readonly start: () => Promise<TestServer & { url: string }>
  readonly ask: Buffer
  readonly hello: Buffer
}
const bytes = (text: string) => Buffer.from(text, 'latin1')

const KINDS: Readonly<Record<string, Kind>> = {
  // Whether it would speak TLS; no.
  PostgreSQL: { start: () => startPostgres(), ask: bytes('\x00\x00\x00\x08\x04\xd2\x16\x2f'), hello: bytes('N') },
  Redis: { start: startRedis, ask: bytes('PING\r\n'), hello: bytes('+PONG') },
  ...(hasRabbitmq && { RabbitMQ: { start: startRabbitmq, ask: bytes('AMQP\x00\x00\x09\x01'), hello: bytes('\x01') } }),
}

/** How many processes there are that were told of this port, by an argument or their environment. */
function processesOf(port: number): number {
  const textOf = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'latin1')
    } catch {
      return ''
    }
  }
  const isOne = (pid: string) => new RegExp(`\\b${port}\\b`).test(textOf(pid, 'cmdline') + textOf(pid, 'environ'))
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOne(name)).length
}

test.each(Object.entries(KINDS))(
  '%s is killed, hung, ended and started, and leaves nothing behind',
  async (_, kind) => {
    const server = await kind.start()
    const port = Number(new URL(server.url).port)
    const answers = () =>
      ask(port, kind.ask).then(
        (answer) => answer.subarray(0, kind.hello.length).equals(kind.hello),
        () => false,
      )
    expect(await answers()).toBe(true)
    server.hang()
    expect(await answers()).toBe(false)
    server.resume()
    expect(await answers()).toBe(true)
    for (const verb of ['kill', 'end'] as const) {
      await server[verb]()
      expect(await answers()).toBe(false)
      await server.start()
      expect(await answers()).toBe(true)
    }
    expect(processesOf(port)).toBeGreaterThan(0)
    await server.stop()
    await expect.poll(() => processesOf(port), { timeout: 10_000 }).toBe(0)
  },
  240_000,
)
