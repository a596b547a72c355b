import { setTimeout as pause } from 'node:timers/promises'
import type { CallWatch } from '#platform/resilience/call-watch.ts'
import { type CallAnswer, CallFailed, makeHttpClient } from '#platform/resilience/http-client.ts'
import { type Courier, type Mail, type MailFailure, messageIdOf, type Sender, withoutAddresses } from './mail.ts'

export type SendgridOptions = {
  readonly apiKey: string
  readonly from: Sender
  readonly timeoutMs?: number
  /** How long a batch may wait when SendGrid asks it to. */
  readonly longestWaitMs?: number
  readonly origin?: string
  readonly watch?: CallWatch
}

/** What a request came to: nobody failed, some did, or SendGrid is of no use to any mail at the moment. */
type Verdict = { readonly failures: readonly MailFailure[]; readonly down?: string }

const TRIES = 3
const PARALLEL = 8
/** The most that SendGrid takes in one request. */
const PERSONALIZATIONS = 1_000
/** Nothing is rewritten, counted or added: a mail arrives as it was written. */
const NO_TRACKING = {
  click_tracking: { enable: false, enable_text: false },
  open_tracking: { enable: false },
  subscription_tracking: { enable: false },
  ganalytics: { enable: false },
}

/**
 * Sends by SendGrid's v3 API. Mails of the same contents go in one request, the others eight at a time; 5xx and 429 are
 * tried again when SendGrid says so. A request whose answer is lost is not repeated here: it may have been taken.
 */
export function makeSendgridCourier(options: SendgridOptions): Courier {
  const { apiKey, from, timeoutMs = 10_000, longestWaitMs = 30_000 } = options
  const http = makeHttpClient({
    origin: options.origin ?? 'https://api.sendgrid.com',
    timeoutMs,
    places: { atOnce: PARALLEL, waiting: 1_000 },
    watch: options.watch,
    headers: { authorization: `Bearer ${apiKey}`, accept: 'application/json' },
  })
  /** SendGrid asked everybody to be quiet until then. */
  let quietUntil = 0

  const post = async (batch: readonly Mail[]): Promise<Verdict> => {
    for (let attempt = 1; ; attempt += 1) {
      const wait = quietUntil - Date.now()
      if (wait > longestWaitMs) return failed(batch, `SendGrid takes no mail for ${Math.ceil(wait / 1000)} s (429)`)
      if (wait > 0) await pause(wait)
      try {
        const call = { method: 'POST', path: '/v3/mail/send', body: messageOf(batch, from), repeatable: false } as const
        return await judge(batch, await http.call(call))
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error
        if (!error.response) return down('SendGrid gave no answer')
        const { status, headers } = error.response
        if (status !== 429 && status < 500) return failed(batch, `SendGrid answered ${status}`, status === 413)
        if (status === 429) quietUntil = Math.max(quietUntil, Date.now() + resetOf(headers))
        if (attempt === TRIES) return failed(batch, `SendGrid answered ${status}, ${TRIES} times`)
        if (status !== 429) await pause(250 * 2 ** attempt * (0.5 + Math.random()))
      }
    }
  }

  const judge = async (batch: readonly Mail[], { status, body }: CallAnswer): Promise<Verdict> => {
    if (status === 202) return { failures: [] }
    const said = complaintOf(body)
    if (status === 401) return down(`SendGrid does not accept SENDGRID_API_KEY (401): ${said.text}`)
    if (status === 403) return down(`SendGrid does not let SENDGRID_API_KEY send from MAIL_FROM (403): ${said.text}`)
    if (status === 400 && said.field.startsWith('from')) return down(`SendGrid does not accept MAIL_FROM: ${said.text}`)
    // One address that it does not like spoils the whole request: each gets its own.
    if ((status === 400 || status === 413) && batch.length > 1)
      return { failures: await inParallel(batch.map((mail) => [mail])) }
    const reason = `SendGrid answered ${status}${said.field && ` on ${said.field}`}: ${said.text}`
    return failed(batch, reason, status === 400 || status === 413)
  }

  /** After SendGrid was of no use to one request, those that have not begun fail with it. */
  const inParallel = async (batches: readonly (readonly Mail[])[]): Promise<readonly MailFailure[]> => {
    const waiting = batches.values()
    const failures: MailFailure[] = []
    let useless: string | undefined
    const work = async () => {
      for (const batch of waiting) {
        const verdict = useless === undefined ? await post(batch) : failed(batch, useless)
        useless ??= verdict.down
        failures.push(...(verdict.down === undefined ? verdict : failed(batch, verdict.down)).failures)
      }
    }
    await Promise.all(Array.from({ length: PARALLEL }, work))
    return failures
  }

  return { deliver: (mails) => inParallel(batchesOf(mails)), close: http.close }
}

const failed = (batch: readonly Mail[], reason: string, permanent = false): Verdict => ({
  failures: batch.map(({ key }) => ({ key, reason, permanent })),
})

const down = (reason: string): Verdict => ({ failures: [], down: reason })

function batchesOf(mails: readonly Mail[]): readonly (readonly Mail[])[] {
  const same = Map.groupBy(mails, ({ subject, text, html }) => JSON.stringify([subject, text, html]))
  return [...same.values()].flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / PERSONALIZATIONS) }, (_, index) =>
      group.slice(index * PERSONALIZATIONS, (index + 1) * PERSONALIZATIONS),
    ),
  )
}

function messageOf(batch: readonly Mail[], from: Sender): object {
  const { subject, text, html } = batch[0]!
  return {
    personalizations: batch.map(({ key, to }) => ({
      to: [{ email: to }],
      headers: { 'Message-ID': messageIdOf(key, from) },
    })),
    from: from.name ? { email: from.address, name: from.name } : { email: from.address },
    subject,
    content: [
      { type: 'text/plain', value: text },
      { type: 'text/html', value: html },
    ],
    headers: { 'Auto-Submitted': 'auto-generated' },
    tracking_settings: NO_TRACKING,
  }
}

/** What it says first, and about which field: `{"errors":[{"message","field","help"}]}`. */
function complaintOf(body: unknown): { readonly text: string; readonly field: string } {
  const { errors } = (body ?? {}) as { errors?: { message?: unknown; field?: unknown }[] }
  const [first] = Array.isArray(errors) ? errors : []
  return { text: withoutAddresses(String(first?.message ?? 'no reason given')), field: String(first?.field ?? '') }
}

/** How long until X-RateLimit-Reset (seconds since 1970), by SendGrid's own clock; a second where it does not say. */
function resetOf(headers: NonNullable<CallFailed['response']>['headers']): number {
  const reset = Number(headers['x-ratelimit-reset'])
  const now = Date.parse(String(headers.date ?? '')) || Date.now()
  return Number.isFinite(reset) ? Math.max(reset * 1_000 - now, 1_000) : 1_000
}
