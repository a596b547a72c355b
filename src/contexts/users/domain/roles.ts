/** Everything that somebody may be allowed to do. A route names the permission that it asks for, a field its own (x-readable-by). */
export const PERMISSIONS = {
  'catalogue:read': 'Look at what is for sale.',
  'carts:write': 'Fill a cart.',
  'orders:place': 'Order a cart.',
  'orders:read-own': "See one's own orders.",
  'orders:cancel-own': "Cancel one's own orders.",
  'payments:pay-own': "Pay one's own orders.",
  'account:read': "See one's own account.",
  'account:write': "Change one's own account.",
  'orders:read': 'See all orders, but not whose they are.',
  'orders:note': 'Write notes on orders.',
  'orders:cancel': "Cancel other people's orders.",
  'orders:ship': 'Ship orders, and take goods back.',
  'payments:read': 'See all payments.',
  'payments:capture': 'Take money that was authorised.',
  'payments:refund': 'Give money back.',
  'payments:record': 'Say that money came in by bank transfer, invoice or cash.',
  'payments:review': 'Decide what becomes of money that does not fit its payment.',
  'ledger:read': 'See the books, and take a copy of them for accounting.',
  'webhooks:read': 'See what payment providers have sent.',
  'webhooks:replay': 'Have what a payment provider has sent worked on again.',
  'customers:read': 'See who customers are: their name, e-mail and addresses, in orders and accounts.',
  'catalogue:write': 'Change products, categories and what is on sale.',
  'catalogue:price': 'Set prices.',
  'inventory:read': 'See the stock.',
  'inventory:adjust': 'Correct the stock.',
  'imports:run': 'Import products from files, with their prices and stock.',
  'users:read': 'See all accounts, but not whose they are.',
  'users:write': 'Make staff accounts.',
  'roles:read': 'See who may do what.',
  'roles:write': 'Make, change and delete roles.',
  'roles:grant': 'Give roles to people, and disable their accounts.',
  'owners:grant': 'Make owners, and unmake them.',
  'api-keys:read': 'See which API keys there are.',
  'api-keys:write': 'Make, rotate and revoke API keys.',
  'privacy:manage': 'Take a copy of what is kept of somebody, and have them forgotten.',
  'audit:read': 'Search the audit log.',
  'events:read': 'See events that could not be delivered.',
  'events:replay': 'Deliver them again.',
} as const
export type Permission = keyof typeof PERMISSIONS
export const ALL_PERMISSIONS = Object.keys(PERMISSIONS) as Permission[]

type RoleTable = Readonly<Record<string, { readonly description: string; readonly permissions: readonly Permission[] }>>

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
  'orders:read',
  'orders:note',
  'orders:cancel',
  'payments:read',
  'customers:read',
  'inventory:read',
  'users:read',
] as const
const catalogue = ['catalogue:write', 'catalogue:price', 'inventory:read', 'inventory:adjust', 'imports:run'] as const
const fulfilment = [
  'orders:read',
  'orders:note',
  'orders:ship',
  'customers:read',
  'inventory:read',
  'inventory:adjust',
] as const
const finance = [
  'orders:read',
  'payments:read',
  'payments:refund',
  'payments:capture',
  'payments:record',
  'payments:review',
  'ledger:read',
  'webhooks:read',
  'webhooks:replay',
] as const

/** These roles are the same in every shop. Whoever has an account may do what a customer may, and what their roles add. */
export const FIXED_ROLES = {
  guest: { description: 'Anybody, without an account.', permissions: shopping },
  customer: { description: 'Whoever has an account.', permissions: account },
  owner: { description: 'May do everything, and alone makes owners.', permissions: ALL_PERMISSIONS },
} as const satisfies RoleTable

/** These roles a shop begins with: stored at its first start, and from then on what the shop makes of them. */
export const FIRST_ROLES = {
  support: { description: 'Helps customers with their orders.', permissions: support },
  catalogue: { description: 'Keeps products, prices and stock.', permissions: catalogue },
  fulfilment: { description: 'Packs, ships and takes back.', permissions: fulfilment },
  finance: { description: 'Captures and refunds payments; does not see who customers are.', permissions: finance },
  admin: {
    description: 'Does all of that, and runs the shop and its staff.',
    permissions: ALL_PERMISSIONS.filter(
      (one) => one !== 'owners:grant' && !(account as readonly string[]).includes(one),
    ),
  },
} as const satisfies RoleTable

/** The permissions of the stored roles, by name. */
export type StoredRoles = ReadonlyMap<string, readonly string[]>

export const guestPermissions: ReadonlySet<string> = new Set(shopping)
export const accountPermissions: ReadonlySet<string> = new Set(account)
const everything: ReadonlySet<string> = new Set(ALL_PERMISSIONS)

export const isStaff = (roles: readonly string[]): boolean => roles.some((role) => role !== 'customer')

/** What somebody with these roles may do; `granted` are the permissions of those roles that are stored. */
export function permissionsOf(roles: readonly string[], granted: readonly string[]): ReadonlySet<string> {
  if (roles.includes('owner')) return everything
  return isStaff(roles) ? new Set([...account, ...granted]) : accountPermissions
}

/** What these roles add to what every account may do. */
export const grantsOf = (roles: readonly string[], stored: StoredRoles): readonly string[] =>
  roles.includes('owner') ? ALL_PERMISSIONS : [...new Set(roles.flatMap((role) => stored.get(role) ?? []))]
