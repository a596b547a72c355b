import pino from 'pino'

/** A structured logger: JSON lines on standard output. Ids and amounts go in; secrets and personal data never do. */
export type Log = pino.Logger

/** Names that no line carries, wherever they stand: the last net under the rule that nobody logs them. */
const SECRET = [
  'authorization',
  'cookie',
  'password',
  'token',
  'secret',
  'email',
  'phone',
  'shippingAddress',
  'billingAddress',
]

/** One write for many lines: a write for each took a third of a cached page's time. What is buffered is written at the exit. */
const BUFFERED_BYTES = 4_096
const FLUSH_MS = 100
const LAST_FLUSH_MS = 1_000

/** Makes the process's logger. `sync` is for tests and short commands; a service writes in the background. */
export function makeLog(options: { level: string; sync?: boolean }): Log {
  const paths = SECRET.flatMap((name) => [name, `*.${name}`, `req.headers.${name}`])
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths, censor: '[redacted]' },
      serializers: { err: describeError },
    },
    options.sync ? pino.destination({ sync: true }) : buffered(),
  )
}

/** Writes in the background. Whoever reads may be gone at the exit, or hang: no process stays for them. */
function buffered(): pino.DestinationStream {
  let until = Number.POSITIVE_INFINITY
  const retryEAGAIN = () => performance.now() < until
  const output = pino.destination({ sync: false, minLength: BUFFERED_BYTES, periodicFlush: FLUSH_MS, retryEAGAIN })
  const flush = output.flushSync.bind(output)
  output.flushSync = () => {
    until = performance.now() + LAST_FLUSH_MS
    try {
      flush()
    } catch {}
  }
  return output
}

/** Keys, ours and Stripe's, look like nothing else, nor do e-mail addresses: where a message quotes what was sent, they are cut out. */
const KEYS = /\b([sr]k_[\w-]{16,}|whsec_[^\s)"']{8,}|pi_\w+_secret_\w+)/g
const ADDRESSES = /[^\s"'`<>()[\]{}:;,=/\\]+@[^\s"'`<>()[\]{}:;,=/\\]+\.[^\s"'`<>()[\]{}:;,=/\\]+/g
/** What an error says, without what no log and no list of failures may hold. */
export const withoutSecrets = (text: string): string =>
  text.replaceAll(KEYS, '[redacted]').replaceAll(ADDRESSES, '[redacted]')

/** What a line tells of an error: never its other properties, which may be a whole connection or the row it was about. */
const describeError = (error: unknown): object => {
  if (!(error instanceof Error)) return { message: withoutSecrets(String(error)) }
  const { name, message, stack, code, constraint } = error as Error & { code?: unknown; constraint?: unknown }
  return { type: name, message: withoutSecrets(message), code, constraint, stack: stack && withoutSecrets(stack) }
}
