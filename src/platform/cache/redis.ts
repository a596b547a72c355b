import { Redis as Client } from 'ioredis'
import type { Log } from '#platform/telemetry/log.ts'

export type Redis = {
  /** For libraries that bring commands of their own; what they send goes through `ask`. */
  readonly client: Client
  /** Runs a command. Throws at once while Redis is away, and after 100 ms when it does not answer. */
  readonly ask: <Answer>(run: () => Promise<Answer>) => Promise<Answer>
  /** Begins to connect, and waits up to a second for it: Redis may be away. */
  readonly connect: () => Promise<void>
  readonly close: () => void
}

const ANSWER_MS = 100
const CONNECT_MS = 1_000

/**
 * A Redis that may be away: no queue of commands waits for it, none is sent twice, and it is asked again as soon as it is
 * back. Silence breaks the connection, so that only what is under way at that moment waits for the 100 ms.
 */
export function openRedis({ url, log }: { url: string; log: Log }): Redis {
  const client = new Client(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS,
    commandTimeout: CONNECT_MS,
    disconnectTimeout: ANSWER_MS,
    retryStrategy: (times) => Math.min(25 * 2 ** times, 1_000),
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  })
  let away = false
  let closing = false
  const isAway = (error?: Error) => {
    if (!away && !closing) log.warn({ err: error }, 'Redis is away')
    away = true
  }
  client.on('error', isAway)
  client.on('close', () => isAway())
  client.on('ready', () => {
    if (away) log.warn('Redis is back')
    away = false
  })

  return {
    client,
    ask: async (run) => {
      if (client.status !== 'ready') {
        if (client.status === 'wait') client.connect().catch(isAway)
        throw new Error('Redis is away.')
      }
      return within(ANSWER_MS, run(), () => client.stream.destroy())
    },
    connect: () =>
      Promise.race([client.connect().catch(isAway), new Promise<void>((late) => setTimeout(late, CONNECT_MS).unref())]),
    close: () => {
      closing = true
      client.disconnect()
    },
  }
}

/**
 * Rejects after so long without an answer. A process that was held up itself reads first what has come in meanwhile: its
 * own delay is not Redis's silence.
 */
function within<Answer>(ms: number, answer: Promise<Answer>, onSilence: () => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let settled = false
    const give = () => {
      if (settled) return
      onSilence()
      reject(new Error(`Redis was silent for ${ms} ms.`))
    }
    const timer = setTimeout(() => setImmediate(give), ms)
    answer.then(resolve, reject).finally(() => {
      settled = true
      clearTimeout(timer)
    })
  })
}
