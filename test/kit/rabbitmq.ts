import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask } from './ask.ts'
import { freePort } from './free-port.ts'
import { endOf, launchProgram } from './launch.ts'
import { serverIn, type TestServer } from './server.ts'

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1')
const METHOD_FRAME = 1

/** Whether Debian's rabbitmq-server is installed here. */
export const hasRabbitmq = existsSync(SERVER)

export type TestRabbitmq = TestServer & {
  /** `amqp://guest:guest@127.0.0.1:…` */
  readonly url: string
}

/**
 * A real RabbitMQ on free ports, as whoever runs the tests. What it keeps it keeps through a kill. It
 * has a cookie, a port mapper (epmd) and a node name of its own: it meets no other node.
 */
export async function startRabbitmq(): Promise<TestRabbitmq> {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-rabbitmq-'))
  const [port, distPort, epmdPort] = [await freePort(), await freePort(), await freePort()]
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: folder,
    LANG: 'C.UTF-8',
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    // Its script becomes the server itself then, instead of a shell that waits for it.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_NODENAME: `stoa-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONF_ENV_FILE: put('env.conf', ''),
    RABBITMQ_CONFIG_FILE: put('rabbitmq.conf', `listeners.tcp.1 = 127.0.0.1:${port}\n`),
    RABBITMQ_ENABLED_PLUGINS_FILE: put('enabled_plugins', '[].\n'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none',
  }
  const epmd = launchProgram('epmd', [], { env })
  const isReady = async () => (await ask(port, HEADER).catch(() => undefined))?.[0] === METHOD_FRAME
  const server = serverIn(folder, () => launchProgram(SERVER, [], { env, cwd: folder }), isReady)
  const rabbitmq: TestRabbitmq = {
    ...server,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    stop: async () => {
      await server.stop()
      await endOf(epmd.child, 'SIGTERM')
    },
  }
  await rabbitmq.start()
  return rabbitmq
}
