import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** A message as it went over the wire, decoded. */
export type Message = {
  /** Of the envelope. */
  readonly sender: string
  readonly recipients: readonly string[]
  /** By name in lower case, decoded; none occurs twice. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  readonly html: string
}

export type Smtp = {
  /** `smtp://user:secret@…`, or `smtps://` with a certificate that nobody knows. */
  readonly url: string
  readonly received: Message[]
  readonly connections: () => number
  /** How often somebody tried to log in. */
  readonly logins: () => number
  /** What these recipients are answered instead of 250. */
  readonly refused: Map<string, number>
  close(): Promise<void>
}

/** A real SMTP server on a free port that wants user and password. */
export async function openSmtp(
  login: { readonly user: string; readonly pass: string },
  options: SMTPServerOptions = { disabledCommands: ['STARTTLS'] },
): Promise<Smtp> {
  const received: Message[] = []
  const refused = new Map<string, number>()
  let connections = 0
  let logins = 0
  const server = new SMTPServer({
    allowInsecureAuth: true,
    closeTimeout: 100,
    logger: false,
    ...options,
    onConnect: (_session, done) => {
      connections += 1
      done()
    },
    onAuth: ({ username, password }, _session, done) => {
      logins += 1
      const right = username === login.user && password === login.pass
      return right ? done(null, { user: username }) : done(new Error('Wrong password'))
    },
    onRcptTo: ({ address }, _session, done) => {
      const code = refused.get(address)
      done(code ? Object.assign(new Error(`<${address}>: not now, or never`), { responseCode: code }) : undefined)
    },
    onData: async (stream, { envelope }, done) => {
      const chunks: Buffer[] = []
      try {
        for await (const chunk of stream) chunks.push(chunk as Buffer)
      } catch (error) {
        return done(error as Error)
      }
      received.push({
        sender: envelope.mailFrom ? envelope.mailFrom.address : '',
        recipients: envelope.rcptTo.map(({ address }) => address),
        ...readMessage(Buffer.concat(chunks).toString('latin1')),
      })
      done()
    },
  })
  server.on('error', () => {})
  await new Promise<void>((listening) => server.listen(0, '0.0.0.0', listening))
  const { port } = server.server.address() as AddressInfo
  return {
    url: `${options.secure ? 'smtps' : 'smtp'}://${login.user}:${encodeURIComponent(login.pass)}@127.0.0.1:${port}`,
    received,
    connections: () => connections,
    logins: () => logins,
    refused,
    close: () => new Promise((closed) => server.close(() => closed())),
  }
}

/** Reads a message of text and HTML (RFC 5322, 2045 to 2047); `raw` is one character for each byte. */
function readMessage(raw: string): Pick<Message, 'headers' | 'text' | 'html'> {
  const { headers, body } = split(raw)
  const boundary = /boundary="?([^";]+)/.exec(headers['content-type'] ?? '')?.[1]
  if (!boundary) throw new Error('The message has no parts.')
  const parts = body
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => split(part.replace(/^\r\n/, '')))
  const partOf = (type: string): string => {
    const [part, ...more] = parts.filter((one) => one.headers['content-type']?.startsWith(type))
    if (!part || more.length > 0) throw new Error(`The message has ${more.length + 1} parts of ${type}.`)
    return decode(part.body.replace(/\r\n$/, ''), part.headers['content-transfer-encoding'] ?? '7bit')
  }
  if (parts.length !== 2) throw new Error(`The message has ${parts.length} parts.`)
  return { headers, text: partOf('text/plain; charset=utf-8'), html: partOf('text/html; charset=utf-8') }
}

function split(raw: string): { headers: Record<string, string>; body: string } {
  const end = raw.indexOf('\r\n\r\n')
  const lines = raw
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (name in headers) throw new Error(`The header ${name} is there twice.`)
    headers[name] = words(line.slice(colon + 1).trim())
  }
  return { headers, body: raw.slice(end + 4) }
}

function decode(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8').replaceAll('\r\n', '\n')
  const bytes = encoding === 'quoted-printable' ? quoted(body.replaceAll(/=\r\n/g, '')) : body
  return Buffer.from(bytes, 'latin1').toString('utf8').replaceAll('\r\n', '\n')
}

const quoted = (text: string): string =>
  text.replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

const words = (text: string): string =>
  text
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, kind: string, word: string) =>
      kind.toLowerCase() === 'b' ? Buffer.from(word, 'base64').toString('latin1') : quoted(word.replaceAll('_', ' ')),
    )
    .replaceAll(/[\x80-\xff]+/g, (bytes) => Buffer.from(bytes, 'latin1').toString('utf8'))
