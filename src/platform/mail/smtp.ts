import { createTransport } from 'nodemailer'
import { type Courier, type Mail, type MailFailure, messageIdOf, type Sender, withoutAddresses } from './mail.ts'

export type SmtpOptions = {
  /** `smtp://` or `smtps://`, with user and password where the server wants them. */
  readonly url: string
  readonly from: Sender
  /** For connecting, for the greeting, and for each answer. */
  readonly timeoutMs?: number
}

/** What nodemailer's errors carry, all of it optional. */
type SmtpError = Error & { readonly code?: string; readonly responseCode?: number; readonly command?: string }

/** One mail takes no longer, whatever the server does. */
const MAIL_TIMEOUT_MS = 60_000
const IDLE_MS = 30_000

/**
 * Sends by SMTP, one mail after another on one connection that is kept for a while. `smtps://` is TLS from the start;
 * `smtp://` must offer STARTTLS, unless the server is on this machine.
 */
export function makeSmtpCourier({ url, from, timeoutMs = 10_000 }: SmtpOptions): Courier {
  const { protocol, hostname, port, username, password } = new URL(url)
  const secure = protocol === 'smtps:'
  const local = isLoopback(hostname)
  const transport = createTransport({
    pool: true,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port ? Number(port) : secure ? 465 : 587,
    secure,
    requireTLS: !secure && !local,
    ignoreTLS: !secure && local,
    ...(username ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
    maxConnections: 1,
    maxMessages: Number.POSITIVE_INFINITY,
    maxRequeues: 1,
    idleTimeout: IDLE_MS,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })

  const send = ({ key, to, subject, text, html }: Mail) =>
    transport.sendMail({
      from,
      to: { name: '', address: to },
      subject,
      text,
      html,
      messageId: messageIdOf(key, from),
      headers: { 'Auto-Submitted': 'auto-generated' },
      xMailer: false,
      signal: AbortSignal.timeout(MAIL_TIMEOUT_MS),
    })

  return {
    deliver: async (mails) => {
      const failures: MailFailure[] = []
      let useless: string | undefined
      for (const mail of mails) {
        const verdict = useless ?? (await send(mail).then(() => undefined, judge))
        if (verdict === undefined) continue
        if (typeof verdict === 'string') useless = verdict
        failures.push({
          key: mail.key,
          ...(typeof verdict === 'string' ? { reason: verdict, permanent: false } : verdict),
        })
      }
      return failures
    },
    close: async () => transport.close(),
  }
}

/**
 * Why a mail was not taken; a text when the server is of no use to the others either. Of answers only the codes:
 * what servers say besides repeats the address.
 */
function judge(error: SmtpError): string | Omit<MailFailure, 'key'> {
  const { code = 'no code', responseCode, command = 'connecting' } = error
  if (code === 'EAUTH' || code === 'ENOAUTH')
    return `SMTP: the server does not accept the user and password of SMTP_URL (${responseCode ?? code})`
  if (code === 'ETLS') return `SMTP: no TLS with the server of SMTP_URL, and off this machine mail needs it`
  if (code === 'EENVELOPE' && command === 'API')
    return { reason: 'SMTP: its address cannot be sent to', permanent: true }
  if (code === 'EMESSAGE' && responseCode === undefined)
    return { reason: 'SMTP: it is longer than the server takes', permanent: true }
  if (command === 'MAIL FROM') return `SMTP: the server does not accept MAIL_FROM (${responseCode ?? code})`
  if (responseCode === undefined) return `SMTP: no mail can be sent (${code}: ${withoutAddresses(error.message)})`
  if (responseCode === 421 || !/^(RCPT TO|DATA)$/.test(command))
    return `SMTP: no mail can be sent (${command}: ${responseCode})`
  return { reason: `SMTP: the server does not take it (${command}: ${responseCode})`, permanent: responseCode >= 500 }
}

const isLoopback = (hostname: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
