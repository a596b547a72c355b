import { createServer, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What one recipient got, after the account's settings were applied. */
export type SendgridDelivery = {
  readonly to: string
  readonly from: { readonly email: string; readonly name?: string }
  readonly subject: string
  readonly text: string
  readonly html: string
  readonly headers: Readonly<Record<string, string>>
}

/** What the next request meets instead of being served; `lost` is served, but its answer never arrives. */
export type Mishap = 500 | 503 | 'lost' | { readonly status: 429; readonly resetInSeconds: number }

export type Sendgrid = {
  readonly origin: string
  readonly delivered: SendgridDelivery[]
  /** How many requests came, and how many recipients each named (0 for one that was not served). */
  readonly requests: number[]
  readonly mishaps: Mishap[]
  /** Addresses that it fails on with 500. */
  readonly cursed: Set<string>
  close(): Promise<void>
}

type SendgridError = { readonly message: string; readonly field: string | null; readonly help: null }
type Answer = {
  readonly status: number
  readonly errors?: readonly SendgridError[]
  readonly headers?: OutgoingHttpHeaders
}

const ADDRESS = /^[^\s@<>(),;:"]+@[a-z0-9-]+(\.[a-z0-9-]+)+$/i
const KNOWN = new Set(
  'personalizations from reply_to subject content headers categories custom_args send_at batch_id asm mail_settings tracking_settings attachments template_id ip_pool_name sections'.split(
    ' ',
  ),
)
const RESERVED = new Set(
  'x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from subject reply-to cc bcc'.split(
    ' ',
  ),
)

/**
 * SendGrid's POST /v3/mail/send as its documentation has it: a key, a verified sender, its checks and error format, and
 * an account that tracks clicks and opens and adds a footer unless a message forbids it.
 */
export async function openSendgrid(account: {
  readonly apiKey: string
  readonly sender: string
  readonly limitBytes?: number
}): Promise<Sendgrid> {
  const { apiKey, sender, limitBytes = 31_457_280 } = account
  const delivered: SendgridDelivery[] = []
  const requests: number[] = []
  const mishaps: Mishap[] = []
  const cursed = new Set<string>()

  const serve = (request: IncomingMessage, text: string): Answer => {
    if (request.headers.authorization !== `Bearer ${apiKey}`)
      return refused(401, 'The provided authorization grant is invalid, expired, or revoked')
    if (request.url !== '/v3/mail/send') return refused(404, 'not found')
    if (request.method !== 'POST') return refused(405, 'method not allowed')
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
      return refused(415, "Content-Type should be 'application/json'.")
    if (text.length > limitBytes)
      return refused(413, 'The JSON payload you have included in your request is too large.')
    const message = read(text)
    if (!message) return refused(400, 'Bad Request')
    const wrong = complaintOf(message)
    if (wrong) return refused(400, ...wrong)
    if (message.from.email !== sender)
      return refused(403, 'The from address does not match a verified Sender Identity.', 'from')
    const deliveries = deliveriesOf(message)
    if (deliveries.some(({ to }) => cursed.has(to))) return meet(500)
    delivered.push(...deliveries)
    requests[requests.length - 1] = message.personalizations.length
    return { status: 202, headers: { 'x-message-id': `double-${requests.length}` } }
  }

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    requests.push(0)
    const mishap = mishaps.shift()
    const answer =
      mishap === undefined || mishap === 'lost' ? serve(request, Buffer.concat(chunks).toString('utf8')) : meet(mishap)
    if (mishap === 'lost') return
    const { status, errors, headers } = answer
    response.writeHead(status, { ...(errors ? { 'content-type': 'application/json' } : {}), ...headers })
    response.end(errors ? JSON.stringify({ errors }) : '')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delivered,
    requests,
    mishaps,
    cursed,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

const refused = (status: number, message: string, field: string | null = null): Answer => ({
  status,
  errors: [{ message, field, help: null }],
})

function meet(mishap: Exclude<Mishap, 'lost'>): Answer {
  if (typeof mishap === 'number') return refused(mishap, 'internal error')
  const reset = Math.ceil(Date.now() / 1000) + mishap.resetInSeconds
  return {
    ...refused(429, 'too many requests'),
    headers: { 'x-ratelimit-limit': 600, 'x-ratelimit-remaining': 0, 'x-ratelimit-reset': reset },
  }
}

function read(text: string): any {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The first thing that SendGrid would find fault with, and the field that it would name. */
function complaintOf(message: any): [message: string, field: string] | undefined {
  const unknown = Object.keys(message).find((name) => !KNOWN.has(name))
  if (unknown) return [`Invalid field ${unknown}.`, unknown]
  const { personalizations, from, subject, content, headers = {} } = message
  if (!Array.isArray(personalizations) || personalizations.length === 0)
    return ['The personalizations field is required and must have at least one personalization.', 'personalizations']
  if (personalizations.length > 1000)
    return ['The personalization block is limited to 1000 personalizations per API request.', 'personalizations']
  for (const [index, { to, headers: own = {} }] of personalizations.entries()) {
    const field = `personalizations.${index}.to`
    if (!Array.isArray(to) || to.length === 0)
      return ['The to array is required for all personalization objects.', field]
    const wrong = to.findIndex(({ email }: any) => typeof email !== 'string' || !ADDRESS.test(email))
    if (wrong >= 0) return ['Does not contain a valid address.', `${field}.${wrong}.email`]
    if (new Set(to.map(({ email }: any) => email.toLowerCase())).size < to.length)
      return ['Each email address in the personalization block should be unique.', `personalizations.${index}`]
    const bad = badHeader(own)
    if (bad) return [bad, `personalizations.${index}.headers`]
  }
  if (typeof from?.email !== 'string' || !ADDRESS.test(from.email))
    return ['The from email does not contain a valid address.', 'from.email']
  if (typeof subject !== 'string' || subject === '')
    return ['The subject is required. You can get around this requirement if you use a template.', 'subject']
  if (!Array.isArray(content) || content.length === 0)
    return ['Unless a valid template_id is provided, the content parameter is required.', 'content']
  if (content.some(({ value }: any) => typeof value !== 'string' || value === ''))
    return ['The content value must be a string at least one character in length.', 'content.0.value']
  const order = ['text/plain', 'text/html'].map((type) => content.findIndex((part: any) => part.type === type))
  if (order[0]! > 0) return ['If present, text/plain must be first, followed by text/html.', 'content']
  const bad = badHeader(headers)
  return bad ? [bad, 'headers'] : undefined
}

function badHeader(headers: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(headers)) {
    if (RESERVED.has(name.toLowerCase())) return 'Header can not be one of the reserved keys.'
    if (typeof value !== 'string' || /[\r\n]/.test(value) || !/^[!-9;-~]+$/.test(name)) return 'Header is not valid.'
  }
  return undefined
}

function deliveriesOf(message: any): SendgridDelivery[] {
  const { personalizations, from, subject, content, headers = {}, tracking_settings: tracking = {} } = message
  const part = (type: string): string => content.find((one: any) => one.type === type)?.value ?? ''
  const on = (name: string) => tracking[name]?.enable !== false
  const clicks = (text: string) => text.replaceAll(/https?:\/\/[^\s"<]+/g, 'https://u1.ct.sendgrid.net/ls/click?upn=1')
  let [text, html] = [part('text/plain'), part('text/html')]
  if (on('click_tracking')) html = clicks(html)
  if (tracking.click_tracking?.enable_text !== false) text = clicks(text)
  if (on('open_tracking')) html += '<img src="https://u1.ct.sendgrid.net/wf/open?upn=1" width="1" height="1">'
  if (on('subscription_tracking')) html += '<p>Unsubscribe</p>'
  return personalizations.flatMap(({ to, subject: own, headers: more = {} }: any) =>
    to.map(({ email }: any) => ({
      to: email,
      from,
      subject: own ?? subject,
      text,
      html,
      headers: { ...headers, ...more },
    })),
  )
}
