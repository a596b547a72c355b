import { minutesAfter } from '#kernel/clock.ts'
import type { DomainEvent } from '#kernel/event.ts'
import type { UserId } from '#kernel/ids.ts'

/** What a link that was sent by mail is good for. */
export type LinkPurpose = 'verify-email' | 'reset-password' | 'change-email'

/** What an address is kept for that is not, or no longer, its account's: the letter that goes there. */
export type KeptPurpose = 'wanted-email' | 'former-email'

const MINUTES: Readonly<Record<LinkPurpose, number>> = { 'verify-email': 60, 'reset-password': 30, 'change-email': 60 }

/** How long a link of this purpose is good for. */
export const linkMinutes = (purpose: LinkPurpose): number => MINUTES[purpose]

/** When a link that is made now ends. */
export const linkEnd = (purpose: LinkPurpose, now: Date): Date => minutesAfter(now, MINUTES[purpose])

/** Somebody asks for the link that verifies their e-mail once more. */
export type VerificationWanted = DomainEvent<'users.verification-wanted.v1', { userId: UserId }>
export type EmailVerified = DomainEvent<'users.email-verified.v1', { userId: UserId }>
export type PasswordForgotten = DomainEvent<'users.password-forgotten.v1', { userId: UserId }>
export type PasswordChanged = DomainEvent<'users.password-changed.v1', { userId: UserId }>
/** `wanted` names the row that holds the new address, sealed. */
export type EmailChangeWanted = DomainEvent<'users.email-change-wanted.v1', { userId: UserId; wanted: string }>
/** `former` names the row that holds the address from before, sealed. */
export type EmailChanged = DomainEvent<'users.email-changed.v1', { userId: UserId; former: string }>

type AccountEvent =
  | VerificationWanted
  | EmailVerified
  | PasswordForgotten
  | PasswordChanged
  | EmailChangeWanted
  | EmailChanged

/** A fact about an account's e-mail or password. */
export const accountEvent = <Event extends AccountEvent>(
  type: Event['type'],
  userId: UserId,
  more?: Omit<Event['data'], 'userId'>,
): DomainEvent => ({ type, subject: userId, data: { userId, ...more } })
