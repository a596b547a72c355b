import { refuse } from './problems.ts'
import { accountPermissions, FIXED_ROLES, PERMISSIONS, type StoredRoles } from './roles.ts'

/** Who grants: only their permissions count. */
export type Grantor = { readonly permissions: ReadonlySet<string> }

export type Role = {
  readonly name: string
  readonly description: string
  readonly permissions: readonly string[]
  /** One of those that a shop begins with: it can be changed, but comes back if it is deleted. */
  readonly builtIn: boolean
}
export type RoleChange = {
  readonly description?: string | undefined
  readonly permissions?: readonly string[] | undefined
}

/**
 * Refuses users.cannot-grant for permissions that the grantor lacks. What every account may do is nobody's to give, and
 * what no version knows allows nothing.
 */
export function refuseUnlessHolds(by: Grantor, permissions: readonly string[]): void {
  const lacking = permissions.filter(
    (one) => Object.hasOwn(PERMISSIONS, one) && !by.permissions.has(one) && !accountPermissions.has(one),
  )
  if (lacking.length > 0) throw refuse('users.cannot-grant', `You lack ${lacking.join(', ')}.`)
}

/** Refuses users.unknown-role for what is no role of staff. */
export function refuseUnknownRoles(roles: readonly string[], stored: StoredRoles): void {
  const index = roles.findIndex((role) => role !== 'owner' && !stored.has(role))
  if (index < 0) return
  const detail = `${roles[index]} is no role of staff`
  throw refuse('users.unknown-role', `${detail}.`, { errors: [{ pointer: `/roles/${index}`, detail }] })
}

/** A role of the shop's own; refuses users.cannot-grant and, for the name of a fixed role, users.role-exists. */
export function makeRole(draft: Omit<Role, 'builtIn'>, by: Grantor): Role {
  if (isFixed(draft.name)) throw refuse('users.role-exists')
  refuseUnlessHolds(by, draft.permissions)
  return { ...draft, permissions: sorted(draft.permissions), builtIn: false }
}

/** Changes what a role is for or allows; refuses users.cannot-grant where it allows, before or after, what `by` may not do. */
export function changeRole(role: Role, { description, permissions }: RoleChange, by: Grantor): Role {
  const changed: Role = {
    ...role,
    description: description ?? role.description,
    permissions: permissions ? sorted(permissions) : role.permissions,
  }
  refuseUnlessHolds(by, [...role.permissions, ...changed.permissions])
  return changed
}

/** Whether a role may go; refuses users.cannot-grant, users.fixed-role for one that a shop begins with, users.role-in-use. */
export function refuseRemoval(role: Role, isInUse: boolean, by: Grantor): void {
  refuseUnlessHolds(by, role.permissions)
  if (role.builtIn) throw refuse('users.fixed-role', 'A shop begins with this role: take its permissions away instead.')
  if (isInUse) throw refuse('users.role-in-use')
}

/** Refuses users.fixed-role for guest, customer and owner. */
export function refuseFixed(name: string): void {
  if (isFixed(name)) throw refuse('users.fixed-role')
}

const isFixed = (name: string): boolean => Object.hasOwn(FIXED_ROLES, name)

const sorted = (permissions: readonly string[]): readonly string[] => [...new Set(permissions)].sort()
