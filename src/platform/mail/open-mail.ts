import { join } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import type { CallWatch } from '#platform/resilience/call-watch.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'
import { type DevMailbox, makeDevMailbox } from './dev-mailbox.ts'
import { type Courier, type Mailer, makeMailer, readSender } from './mail.ts'
import { makeSendgridCourier } from './sendgrid-client.ts'

export type MailOptions = {
  readonly smtpUrl: string | undefined
  readonly sendgridApiKey: string | undefined
  /** `Shop <shop@example.com>` */
  readonly mailFrom: string
  readonly dataDir: string
  readonly clock: Clock
  readonly watchCalls: (server: string) => CallWatch
}

export type OpenMail = {
  readonly mailer: Mailer
  /** Where mails stay when there is no way to send them. */
  readonly mailbox: DevMailbox | undefined
  readonly measures: readonly Measure[]
}

/** Opens the one way that this process sends mail: SMTP or SendGrid where one is configured, else the dev mailbox. */
export async function openMail(options: MailOptions): Promise<OpenMail> {
  const counts = { sent: 0, failed: 0 }
  const vendor = await vendorOf(options)
  const mailbox = makeDevMailbox(join(options.dataDir, 'mailbox'), options.clock)
  const mailer = makeMailer(vendor ?? mailbox, (result, mails) => {
    counts[result] += mails
  })
  const measure: Measure = {
    name: 'stoa_mails_total',
    help: 'Mails of this process, by what became of them',
    labels: ['result'],
    kind: 'counter',
    read: async () => Object.entries(counts).map(([result, value]) => ({ labels: { result }, value })),
  }
  return { mailer, mailbox: vendor ? undefined : mailbox, measures: [measure] }
}

/** What speaks SMTP is loaded where it is needed. */
async function vendorOf({ smtpUrl, sendgridApiKey, mailFrom, watchCalls }: MailOptions): Promise<Courier | undefined> {
  const from = readSender(mailFrom)
  if (sendgridApiKey) return makeSendgridCourier({ apiKey: sendgridApiKey, from, watch: watchCalls('sendgrid') })
  if (smtpUrl === undefined) return undefined
  const { makeSmtpCourier } = await import('./smtp.ts')
  return makeSmtpCourier({ url: smtpUrl, from })
}
