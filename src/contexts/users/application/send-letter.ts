import type { UserId } from '#kernel/ids.ts'
import type { Reaction, Reader, Single } from '#platform/db/work.ts'
import type { NewJob } from '#platform/jobs/queue.ts'
import type { Mail, Mailer } from '#platform/mail/mail.ts'
import type { LinkPurpose } from '../domain/link.ts'

/** The events that people get letters about, and which. Each is a job of its own: one that fails holds no other up. */
export const LETTERS = {
  'users.registered.v1': ['verify-email'],
  'users.verification-wanted.v1': ['verify-email'],
  'users.registered-again.v1': ['registered-again'],
  'users.password-forgotten.v1': ['reset-password'],
  'users.password-changed.v1': ['password-changed'],
  'users.email-change-wanted.v1': ['change-email', 'email-change-noticed'],
  'users.email-changed.v1': ['email-changed'],
} as const
export type LetterKind = (typeof LETTERS)[keyof typeof LETTERS][number]

/** One letter to write: ids only. `wanted` and `former` name the rows of addresses that are not the account's. */
export type LetterJob = {
  readonly eventId: number
  readonly kind: LetterKind
  readonly userId: UserId
  readonly wanted?: string
  readonly former?: string
}

export type Recipient = {
  readonly id: UserId
  readonly email: string
  readonly name: string | null
  readonly locale: string
  readonly isVerified: boolean
}

/** A link as it was made: what it is shown with, and what it is called where that must not stand. */
export type MintedLink = { readonly token: string; readonly name: string }

/** What a letter says in its reader's language; `token` is that of its link. */
export type WriteLetter = (
  kind: LetterKind | 'email-taken',
  to: { readonly name: string | null; readonly locale: string },
  token?: string,
) => Omit<Mail, 'key' | 'to'>

export type SendLetterNeeds = {
  readonly mail: Mailer
  findRecipient(db: Reader, id: UserId): Promise<Recipient | undefined>
  /** The new address that was asked for, and whether it is another account's; undefined once the wish has ended or is void. */
  findNewEmail(db: Reader, wanted: string, now: Date): Promise<{ email: string; isTaken: boolean } | undefined>
  /** The address that an account had before it was changed. */
  findFormerEmail(db: Reader, former: string): Promise<string | undefined>
  /** Makes a link and voids those before it. Undefined when the account has gone, or the wish for `wanted` is void. */
  mintLink(
    single: Single,
    id: UserId,
    purpose: LinkPurpose,
    wanted?: { row: string; email: string },
  ): Promise<MintedLink | undefined>
  writeLetter: WriteLetter
}

/** Queues the letters of a batch of events: one statement. */
export const onLetterDue =
  (addJobs: (work: Parameters<Reaction>[0], jobs: readonly NewJob[]) => Promise<void>): Reaction =>
  (work, events) =>
    addJobs(
      work,
      events.flatMap(({ id, type, data }) =>
        LETTERS[type as keyof typeof LETTERS].map((kind) => ({
          task: 'users.send-letter',
          key: `letter:${id}:${kind}`,
          payload: { eventId: id, kind, ...data },
        })),
      ),
    )

/**
 * Writes one letter and sends it. A link's token is made here, so that it stands nowhere but in the mail. Written again
 * after a failure the link is another one, and the one before is void: its mail is another one too.
 */
export const sendLetter =
  (needs: SendLetterNeeds) =>
  async (single: Single, job: LetterJob): Promise<void> => {
    const reader = await needs.findRecipient(single.db, job.userId)
    const draft = reader && (await draftOf(needs, single, job, reader))
    if (!draft) return
    const { says, to, link } = draft
    // Until an address is proved, anybody may have given it: they choose no word of what it is sent.
    const name = reader.isVerified && to === reader.email ? reader.name : null
    const key = ['users', job.eventId, job.kind, ...(link ? [link.name] : [])].join(':')
    await needs.mail.send([{ key, to, ...needs.writeLetter(says, { ...reader, name }, link?.token) }])
  }

type Draft = { readonly says: LetterKind | 'email-taken'; readonly to: string; readonly link?: MintedLink }

/** What a letter says, where it goes and its link; undefined when there is no longer anything to say. */
async function draftOf(
  needs: SendLetterNeeds,
  single: Single,
  { kind, userId, wanted, former }: LetterJob,
  { email, isVerified }: Recipient,
): Promise<Draft | undefined> {
  if (kind === 'email-changed') {
    const to = former && (await needs.findFormerEmail(single.db, former))
    return to ? { says: kind, to } : undefined
  }
  if (kind === 'change-email') {
    const asked = wanted && (await needs.findNewEmail(single.db, wanted, single.now))
    if (!asked) return undefined
    if (asked.isTaken) return { says: 'email-taken', to: asked.email }
    const link = await needs.mintLink(single, userId, kind, { row: wanted, email: asked.email })
    return link && { says: kind, to: asked.email, link }
  }
  if (kind === 'verify-email' && isVerified) return undefined
  if (kind !== 'verify-email' && kind !== 'reset-password') return { says: kind, to: email }
  const link = await needs.mintLink(single, userId, kind)
  return link && { says: kind, to: email, link }
}
