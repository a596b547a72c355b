import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

export type Mail = {
  /** The same key is the same mail: it is sent once, however often it is handed over. Made of ids, never of personal data. */
  readonly key: string
  /** One address, without a name. */
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
}

export type Mailer = {
  /**
   * Sends several mails at once. Throws MailsFailed when some were not taken: the others are on their way, and handing
   * over all of them again sends in this process only what failed.
   */
  send(mails: readonly Mail[]): Promise<void>
  close(): Promise<void>
}

/** Why a mail was not taken. `permanent`: this mail will not be taken however often it is sent. */
export type MailFailure = { readonly key: string; readonly reason: string; readonly permanent: boolean }

/** Some mails were not taken. It names keys and reasons, and no address: its message may be logged. */
export class MailsFailed extends Error {
  override readonly name = 'MailsFailed'
  readonly failures: readonly MailFailure[]

  constructor(failures: readonly MailFailure[]) {
    const reasons = [...Map.groupBy(failures, ({ reason }) => reason)]
    super(reasons.map(([reason, same]) => `${reason} (${namesOf(same)})`).join('; '))
    this.failures = failures
  }
}

const NAMED = 5

const namesOf = (failures: readonly MailFailure[]): string => {
  const keys = failures.slice(0, NAMED).map(({ key }) => key)
  return [...keys, ...(failures.length > NAMED ? [`${failures.length - NAMED} more`] : [])].join(', ')
}

/** A way to hand mails over: one file per vendor. */
export type Courier = {
  /** Hands over mails with different keys and sound headers; resolves with those that were not taken. */
  deliver(mails: readonly Mail[]): Promise<readonly MailFailure[]>
  close(): Promise<void>
}

/** How many keys a process remembers: more than a batch and its repeats. */
const REMEMBERED = 10_000

/** A mailer that sends by this courier: refuses headers that are none, and sends each key once per process. */
export function makeMailer(courier: Courier, count: (result: 'sent' | 'failed', mails: number) => void): Mailer {
  const taken = new LRUCache<string, true>({ max: REMEMBERED })
  return {
    send: async (mails) => {
      const fresh = [...new Map(mails.map((mail) => [mail.key, mail])).values()].filter(({ key }) => !taken.has(key))
      if (fresh.length === 0) return
      const broken = fresh.flatMap((mail) => {
        const reason = wrongHeader(mail)
        return reason === undefined ? [] : [{ key: mail.key, reason, permanent: true }]
      })
      const refused = new Set(broken.map(({ key }) => key))
      const sound = fresh.filter(({ key }) => !refused.has(key))
      // Taken from here on: who hands over the same mail meanwhile does not send it a second time.
      for (const { key } of sound) taken.set(key, true)
      const failures = [...broken, ...(sound.length > 0 ? await deliverOr(courier, sound) : [])]
      for (const { key } of failures) taken.delete(key)
      count('sent', fresh.length - failures.length)
      count('failed', failures.length)
      if (failures.length > 0) throw new MailsFailed(failures)
    },
    close: courier.close,
  }
}

/** A courier that breaks has taken nothing, as far as anybody knows. */
const deliverOr = (courier: Courier, mails: readonly Mail[]): Promise<readonly MailFailure[]> =>
  courier
    .deliver(mails)
    .catch((error: Error) =>
      mails.map(({ key }) => ({ key, reason: `mail broke: ${withoutAddresses(error.message)}`, permanent: false })),
    )

/** One address: what a list, a name or a route is written with is not part of it. */
const ADDRESS = /^[^\s@<>()[\]\\,;:"\p{Cc}]{1,64}@[^\s@<>()[\]\\,;:"\p{Cc}]{1,255}$/u

function wrongHeader({ to, subject }: Mail): string | undefined {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(to) || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(subject))
    return 'its address or subject holds a line break or another control character'
  return ADDRESS.test(to) ? undefined : 'its address is not one address'
}

/** What a server said, without the addresses in it, on one line: logs and job tables keep no personal data. */
export const withoutAddresses = (text: string): string =>
  text
    .replaceAll(/[^\s<>"'(),;:]+@[^\s<>"'(),;:]+/g, '[address]')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300)

/** The Message-ID of the mail with this key: the same on each attempt, so that receivers can tell a second copy. */
export const messageIdOf = (key: string, from: Sender): string =>
  `<${hashOf(key)}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`

/** A name for a key that fits into a header, an address or a file's name. */
export const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 32)

export type Sender = { readonly name: string; readonly address: string }

/** What mails call the shop: the name that they are from, else the shop front's host. */
export const shopNameOf = (of: { readonly mailFrom: string; readonly storefrontUrl: string }): string =>
  readSender(of.mailFrom).name || new URL(of.storefrontUrl).hostname

/** Reads `Shop <shop@example.com>` or `shop@example.com`. */
export function readSender(text: string): Sender {
  const [, name, address] = /^(.+) <([^>]+)>$/.exec(text) ?? []
  return name && address ? { name, address } : { name: '', address: text }
}
