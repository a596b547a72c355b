import { join } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import type { Measure } from '#platform/telemetry/metrics.ts'
import { type DevMailbox, makeDevMailbox } from './dev-mailbox.ts'
import { type Mailer, makeMailer } from './mail.ts'

export type MailOptions = {
  readonly dataDir: string
  readonly clock: Clock
}

export type OpenMail = {
  readonly mailer: Mailer
  /** Where mails stay when there is no way to send them. */
  readonly mailbox: DevMailbox | undefined
  readonly measures: readonly Measure[]
}

/** Opens the one way that this process sends mail. */
export function openMail({ dataDir, clock }: MailOptions): OpenMail {
  const counts = { sent: 0, failed: 0 }
  const mailbox = makeDevMailbox(join(dataDir, 'mailbox'), clock)
  const mailer = makeMailer(mailbox, (result, mails) => {
    counts[result] += mails
  })
  const measure: Measure = {
    name: 'stoa_mails_total',
    help: 'Mails of this process, by what became of them',
    labels: ['result'],
    kind: 'counter',
    read: async () => Object.entries(counts).map(([result, value]) => ({ labels: { result }, value })),
  }
  return { mailer, mailbox, measures: [measure] }
}
