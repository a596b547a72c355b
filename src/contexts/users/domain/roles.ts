const shopping = [
  'catalogue:read',
  'carts:write',
  'orders:place',
  'orders:read-own',
  'orders:cancel-own',
  'payments:pay-own',
] as const
const account = [...shopping, 'account:read', 'account:write'] as const
const support = [
  ...account,
  'orders:read',
  'orders:note',
  'orders:cancel',
  'payments:read',
  'inventory:read',
  'users:read',
] as const
const catalogue = [...account, 'catalogue:write', 'inventory:read', 'inventory:adjust', 'imports:run'] as const
const fulfilment = [
  ...account,
  'orders:read',
  'orders:note',
  'orders:ship',
  'inventory:read',
  'inventory:adjust',
] as const
const finance = [...account, 'orders:read', 'payments:read', 'payments:refund', 'payments:capture'] as const
const admin = [
  ...support,
  ...catalogue,
  ...fulfilment,
  ...finance,
  'users:write',
  'roles:read',
  'roles:grant',
  'privacy:manage',
  'audit:read',
  'events:read',
  'events:replay',
] as const

/** Who may do what. A guest has no account; staff may shop as well. Only an owner makes owners. */
export const ROLES = {
  guest: shopping,
  customer: account,
  support,
  catalogue,
  fulfilment,
  finance,
  admin,
  owner: [...admin, 'owners:grant'],
} as const

export type Role = Exclude<keyof typeof ROLES, 'guest'>
export type StaffRole = Exclude<Role, 'customer'>

/** The roles that work in the shop, as opposed to shopping in it. */
export const STAFF_ROLES = [
  'support',
  'catalogue',
  'fulfilment',
  'finance',
  'admin',
  'owner',
] as const satisfies StaffRole[]

export const guestPermissions: ReadonlySet<string> = new Set(ROLES.guest)

const known = new Map<string, ReadonlySet<string>>()

/** What these roles together may do. A role that this version does not know may do nothing. */
export function permissionsOf(roles: readonly string[]): ReadonlySet<string> {
  const key = roles.join(' ')
  const found = known.get(key)
  if (found) return found
  const permissions = new Set<string>(roles.flatMap((role) => (Object.hasOwn(ROLES, role) ? ROLES[role as Role] : [])))
  known.set(key, permissions)
  return permissions
}

export const isStaff = (roles: readonly string[]): boolean => roles.some((role) => role !== 'customer')
