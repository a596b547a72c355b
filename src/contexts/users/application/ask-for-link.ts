import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import {
  accountEvent,
  type EmailChangeWanted,
  type KeptPurpose,
  type PasswordForgotten,
  type VerificationWanted,
} from '../domain/link.ts'

export type AskForLinkNeeds = {
  /** The enabled account of an e-mail; with `unverified`, only while that is not verified. */
  findByEmail(work: Work, email: string, which: 'any' | 'unverified'): Promise<UserId | undefined>
  /** Keeps an address, sealed, until its letter is written: the name of the row. A wanted one voids the wish before it. */
  keepEmail(work: Work, userId: UserId, purpose: KeptPurpose, email: string): Promise<string>
}

/**
 * Somebody forgot their password: a link goes to the address, if it has an account. Says and does the same if it has none:
 * one statement that looks, one that leaves an audit row.
 */
export const forgotPassword =
  (needs: AskForLinkNeeds) =>
  async (work: Work, { email }: { readonly email: string }) => {
    const userId = await needs.findByEmail(work, email, 'any')
    audited(work, 'users.forgot-password', userId)
    if (userId) work.emit(accountEvent<PasswordForgotten>('users.password-forgotten.v1', userId))
    return { email }
  }

/** Sends the link that verifies an address once more, if it has an account and is not verified yet; says the same if not. */
export const resendVerification =
  (needs: AskForLinkNeeds) =>
  async (work: Work, { email }: { readonly email: string }) => {
    const userId = await needs.findByEmail(work, email, 'unverified')
    audited(work, 'users.resend-verification', userId)
    if (userId) work.emit(accountEvent<VerificationWanted>('users.verification-wanted.v1', userId))
    return { email }
  }

/** Sends a link to the new address, and a notice to the old one; nothing changes before the link comes back. */
export const askEmailChange =
  (needs: AskForLinkNeeds) =>
  async (work: Work, userId: UserId, { email }: { readonly email: string }) => {
    const wanted = await needs.keepEmail(work, userId, 'wanted-email', email)
    audited(work, 'users.ask-email-change', userId)
    work.emit(accountEvent<EmailChangeWanted>('users.email-change-wanted.v1', userId, { wanted }))
    return { email }
  }

const audited = (work: Work, action: string, userId: UserId | undefined): void =>
  work.audit({ action, subject: userId ?? 'unknown', before: null, after: { asked: true } })
