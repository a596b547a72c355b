import type { UserId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import {
  accountEvent,
  type EmailChanged,
  type EmailVerified,
  type LinkPurpose,
  type PasswordChanged,
} from '../domain/link.ts'
import { refuse } from '../domain/problems.ts'
import { isStaff } from '../domain/roles.ts'
import type { AskForLinkNeeds } from './ask-for-link.ts'
import type { RevokeOtherSessions } from './change-account.ts'
import type { HashNewPasswordNeeds } from './hash-new-password.ts'
import { hashNewPassword } from './hash-new-password.ts'

/** Whose link it is, while it is good: not used, not ended, and made for the password and e-mail that the account has. */
export type LinkHolder = {
  readonly id: UserId
  readonly email: string
  readonly name: string | null
  readonly roles: readonly string[]
  readonly newEmail: string | null
}

export type RedeemLinkNeeds = HashNewPasswordNeeds &
  Pick<AskForLinkNeeds, 'keepEmail'> & {
    /** Looks, and changes nothing. */
    findLink(db: Reader, token: string, purpose: LinkPurpose, now: Date): Promise<LinkHolder | undefined>
    /** Uses the link up and locks its account: of two at once, one gets it. */
    useLink(work: Work, token: string, purpose: LinkPurpose): Promise<LinkHolder | undefined>
    markVerified(work: Work, id: UserId): Promise<void>
    /**
     * Sets it, takes the e-mail for verified, and forgets failed logins. A customer's whose e-mail was not verified before
     * may have been a stranger's: its second factor, recovery codes and addresses go.
     */
    setPassword(work: Work, id: UserId, passwordHash: string, emailVerified: boolean): Promise<void>
    /** False when another account has the address. */
    setEmail(work: Work, id: UserId, email: string): Promise<boolean>
    revokeOtherSessions: RevokeOtherSessions
  }

/** Takes an address for its account's: whoever shows the link reads its mail, and checkLinkHolder knows them. Refuses users.invalid-link. */
export const verifyEmail =
  (needs: RedeemLinkNeeds) =>
  async (work: Work, token: string): Promise<void> => {
    const { id } = await use(needs, work, token, 'verify-email')
    await needs.markVerified(work, id)
    work.audit({ action: 'users.verify-email', subject: id, before: null, after: { verified: true } })
    work.emit(accountEvent<EmailVerified>('users.email-verified.v1', id))
  }

/** The hash of a password for the holder of a reset link, before a connection is asked for. Refuses users.invalid-link, users.weak-password. */
export const hashForLink =
  (needs: RedeemLinkNeeds) =>
  async (db: Reader, token: string, password: string, now: Date): Promise<string> => {
    const holder = await needs.findLink(db, token, 'reset-password', now)
    if (!holder) throw refuse('users.invalid-link')
    return hashNewPassword(needs)(password, isStaff(holder.roles) ? 'staff' : 'customer', holder)
  }

/** Sets a new password for whoever shows the link; every session ends. Refuses users.invalid-link. */
export const resetPassword =
  (needs: RedeemLinkNeeds) =>
  async (work: Work, token: string, passwordHash: string): Promise<void> => {
    const { id } = await use(needs, work, token, 'reset-password')
    await needs.setPassword(work, id, passwordHash, true)
    await needs.revokeOtherSessions(work.tx, id, null, 'password-changed', work.now)
    work.audit({ action: 'users.reset-password', subject: id, before: null, after: { sessionsEnded: true } })
    work.emit(accountEvent<PasswordChanged>('users.password-changed.v1', id))
  }

/** Moves an account to the address that the link was sent to; the one before it is told. Refuses users.invalid-link, users.email-taken. */
export const changeEmail =
  (needs: RedeemLinkNeeds) =>
  async (work: Work, token: string): Promise<void> => {
    const { id, email, newEmail } = await use(needs, work, token, 'change-email')
    if (newEmail === null) throw refuse('users.invalid-link')
    const former = await needs.keepEmail(work, id, 'former-email', email)
    if (!(await needs.setEmail(work, id, newEmail))) throw refuse('users.email-taken')
    work.audit({ action: 'users.change-email', subject: id, before: null, after: { changed: true } })
    work.emit(accountEvent<EmailChanged>('users.email-changed.v1', id, { former }))
  }

async function use(needs: RedeemLinkNeeds, work: Work, token: string, purpose: LinkPurpose): Promise<LinkHolder> {
  const holder = await needs.useLink(work, token, purpose)
  if (!holder) throw refuse('users.invalid-link')
  return holder
}
