import type { Decision, DomainEvent } from '#kernel/event.ts'
import type { UserId } from '#kernel/ids.ts'
import { type Grantor, refuseUnknownRoles, refuseUnlessHolds } from './granting.ts'
import { refuse } from './problems.ts'
import { grantsOf, isStaff, type StoredRoles } from './roles.ts'

export type User = {
  readonly id: UserId
  readonly email: string
  readonly name: string | null
  /** The language of their letters. */
  readonly locale: string
  readonly passwordHash: string
  readonly roles: readonly string[]
  readonly disabledAt: Date | null
  readonly emailVerifiedAt: Date | null
  readonly createdAt: Date
}
export type NewUser = Pick<User, 'id' | 'email' | 'name' | 'passwordHash'> & { readonly locale?: string | undefined }

const FIRST_LOCALE = 'en'

export type UserRegistered = DomainEvent<'users.registered.v1', { userId: UserId }>
/** Somebody registered an address that has an account: its holder is told by mail, the caller is not told. */
export type UserRegisteredAgain = DomainEvent<'users.registered-again.v1', { userId: UserId }>
export type StaffCreated = DomainEvent<'users.staff-created.v1', { userId: UserId; roles: readonly string[] }>
export type UserChanged = DomainEvent<'users.changed.v1', { userId: UserId }>
export type UserRolesChanged = DomainEvent<'users.roles-changed.v1', { userId: UserId; roles: readonly string[] }>
export type UserDisabled = DomainEvent<'users.disabled.v1', { userId: UserId }>
/** Somebody is forgotten: whoever copied something of them forgets it too. A guest has no account. */
export type UserErased = DomainEvent<'users.erased.v1', { userId: UserId | null }>
export type UserEnabled = DomainEvent<'users.enabled.v1', { userId: UserId }>

/** A customer's account. */
export function register(draft: NewUser, now: Date): Decision<User> {
  const user: User = {
    ...draft,
    locale: draft.locale ?? FIRST_LOCALE,
    roles: ['customer'],
    disabledAt: null,
    emailVerifiedAt: null,
    createdAt: now,
  }
  const event: UserRegistered = { type: 'users.registered.v1', subject: user.id, data: { userId: user.id } }
  return { state: user, events: [event] }
}

export const registeredAgain = (holder: UserId): UserRegisteredAgain => ({
  type: 'users.registered-again.v1',
  subject: holder,
  data: { userId: holder },
})

/** A staff account; refuses users.unknown-role, and users.cannot-grant for rights that the grantor lacks. */
export function createStaff(
  draft: NewUser & { roles: readonly string[] },
  by: Grantor,
  stored: StoredRoles,
  now: Date,
): Decision<User> {
  refuseUnknownRoles(draft.roles, stored)
  refuseUnlessHolds(by, grantsOf(draft.roles, stored))
  const user: User = {
    ...draft,
    locale: draft.locale ?? FIRST_LOCALE,
    roles: [...new Set(draft.roles)].sort(),
    disabledAt: null,
    emailVerifiedAt: null,
    createdAt: now,
  }
  const data = { userId: user.id, roles: user.roles }
  const event: StaffCreated = { type: 'users.staff-created.v1', subject: user.id, data }
  return { state: user, events: [event] }
}

export type MyChange = { readonly name?: string | undefined; readonly locale?: string | undefined }

/** A person changes what they are called, or the language of their letters. */
export function changeMe(user: User, change: MyChange): Decision<User> {
  const state = { ...user, name: change.name ?? user.name, locale: change.locale ?? user.locale }
  if (state.name === user.name && state.locale === user.locale) return { state: user, events: [] }
  const event: UserChanged = { type: 'users.changed.v1', subject: user.id, data: { userId: user.id } }
  return { state, events: [event] }
}

export type AccountChange = {
  readonly roles?: readonly string[] | undefined
  readonly disabled?: boolean | undefined
}

/** What a change of an account depends on beside the account: the enabled owners, and the stored roles. */
export type Standing = { readonly owners: readonly UserId[]; readonly stored: StoredRoles }

/**
 * Changes a user's roles, or disables or enables the account. Refuses users.cannot-grant where the user or the new roles
 * may do what the grantor may not, users.unknown-role, users.not-staff for roles of a customer, users.last-owner.
 */
export function changeAccount(
  user: User,
  { roles, disabled }: AccountChange,
  by: Grantor,
  { owners, stored }: Standing,
  now: Date,
): Decision<User> {
  if (roles && !isStaff(user.roles)) throw refuse('users.not-staff')
  if (roles) refuseUnknownRoles(roles, stored)
  const changed: User = {
    ...user,
    roles: roles ? [...new Set(roles)].sort() : user.roles,
    disabledAt: disabled === undefined ? user.disabledAt : disabled ? (user.disabledAt ?? now) : null,
  }
  refuseUnlessHolds(by, grantsOf([...user.roles, ...changed.roles], stored))
  const remains = changed.roles.includes('owner') && !changed.disabledAt
  if (!remains && owners.length === 1 && owners[0] === user.id) throw refuse('users.last-owner')
  return { state: changed, events: eventsOf(user, changed) }
}

function eventsOf(before: User, after: User): DomainEvent[] {
  const { id: subject, roles } = after
  const events: (UserRolesChanged | UserDisabled | UserEnabled)[] = []
  if (before.roles.join() !== roles.join())
    events.push({ type: 'users.roles-changed.v1', subject, data: { userId: subject, roles } })
  if (!before.disabledAt && after.disabledAt)
    events.push({ type: 'users.disabled.v1', subject, data: { userId: subject } })
  if (before.disabledAt && !after.disabledAt)
    events.push({ type: 'users.enabled.v1', subject, data: { userId: subject } })
  return events
}
