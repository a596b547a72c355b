import type { UserId } from '#kernel/ids.ts'
import type { Reaction, Reader, Single } from '#platform/db/work.ts'
import type { NewJob } from '#platform/jobs/queue.ts'
import type { Mail, Mailer } from '#platform/mail/mail.ts'
import type { LinkPurpose } from '../domain/link.ts'

/** The events that people get a letter about, and which. */
export const LETTERS = {
  'users.registered.v1': 'verify-email',
  'users.verification-wanted.v1': 'verify-email',
  'users.registered-again.v1': 'registered-again',
  'users.password-forgotten.v1': 'reset-password',
  'users.password-changed.v1': 'password-changed',
  'users.email-change-wanted.v1': 'change-email',
} as const
export type LetterKind = (typeof LETTERS)[keyof typeof LETTERS]

/** One letter to write: ids only. `wanted` names the row of a new address. */
export type LetterJob = {
  readonly eventId: number
  readonly kind: LetterKind
  readonly userId: UserId
  readonly wanted?: string
}

export type Recipient = {
  readonly id: UserId
  readonly email: string
  readonly name: string | null
  readonly locale: string
  readonly isVerified: boolean
}

/** What a letter says in its reader's language; `token` is that of its link. */
export type WriteLetter = (
  kind: LetterKind | 'email-taken' | 'email-change-noticed',
  to: { readonly name: string | null; readonly locale: string },
  token?: string,
) => Omit<Mail, 'key' | 'to'>

export type SendLetterNeeds = {
  readonly mail: Mailer
  findRecipient(db: Reader, id: UserId): Promise<Recipient | undefined>
  /** The new address that was asked for, and whether it is another account's; undefined once it has ended. */
  findNewEmail(db: Reader, wanted: string, now: Date): Promise<{ email: string; isTaken: boolean } | undefined>
  /** Makes a link and voids those before it: its token. Undefined when the account has gone. */
  mintLink(
    single: Single,
    id: UserId,
    purpose: LinkPurpose,
    wanted?: { row: string; email: string },
  ): Promise<string | undefined>
  writeLetter: WriteLetter
}

/** Queues the letters of a batch of events: one statement. */
export const onLetterDue =
  (addJobs: (work: Parameters<Reaction>[0], jobs: readonly NewJob[]) => Promise<void>): Reaction =>
  (work, events) =>
    addJobs(
      work,
      events.map(({ id, type, data }) => ({
        task: 'users.send-letter',
        key: `letter:${id}`,
        payload: { eventId: id, kind: LETTERS[type as keyof typeof LETTERS], ...data },
      })),
    )

/**
 * Writes one letter and sends it. A link's token is made here, so that it stands nowhere but in the mail; sent again after a
 * failure it is another one, and the one before is void.
 */
export const sendLetter =
  (needs: SendLetterNeeds) =>
  async (single: Single, { eventId, kind, userId, wanted }: LetterJob): Promise<void> => {
    const to = await needs.findRecipient(single.db, userId)
    if (!to) return
    const key = (part: string) => `users:${eventId}:${part}`
    if (kind === 'change-email' && wanted !== undefined) {
      const asked = await needs.findNewEmail(single.db, wanted, single.now)
      if (!asked) return
      const toNew = asked.isTaken ? 'email-taken' : 'change-email'
      const link = asked.isTaken ? undefined : { row: wanted, email: asked.email }
      const token = link && (await needs.mintLink(single, userId, 'change-email', link))
      return needs.mail.send([
        { key: key('new'), to: asked.email, ...needs.writeLetter(toNew, to, token) },
        { key: key('old'), to: to.email, ...needs.writeLetter('email-change-noticed', to) },
      ])
    }
    if (kind === 'verify-email' && to.isVerified) return
    const purpose = kind === 'verify-email' || kind === 'reset-password' ? kind : undefined
    const token = purpose && (await needs.mintLink(single, userId, purpose))
    if (purpose && !token) return
    await needs.mail.send([{ key: key('one'), to: to.email, ...needs.writeLetter(kind, to, token) }])
  }
