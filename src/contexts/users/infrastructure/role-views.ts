import { sql } from 'kysely'
import type { Reader } from '#platform/db/work.ts'
import type { Role } from '../domain/granting.ts'
import { refuse } from '../domain/problems.ts'
import { FIRST_ROLES, FIXED_ROLES, PERMISSIONS } from '../domain/roles.ts'

/** A role as answers show one. */
export type RoleView = Role & { readonly editable: boolean }

const ORDER = Object.keys(FIRST_ROLES)
const { guest, customer, owner } = FIXED_ROLES
const fixed = (name: string, role: Pick<Role, 'description' | 'permissions'>): RoleView => ({
  name,
  ...role,
  builtIn: true,
  editable: false,
})

/** All roles: from guests, who may do least, by those of staff to owners, who may do everything. */
export async function listRoles(db: Reader): Promise<RoleView[]> {
  const { rows } = await sql<Role>`
    select name, description, permissions, built_in as "builtIn" from users.roles order by name`.execute(db)
  const rank = ({ name, builtIn }: Role) => (builtIn ? ORDER.indexOf(name) : ORDER.length)
  return [
    fixed('guest', guest),
    fixed('customer', customer),
    ...rows.sort((a, b) => rank(a) - rank(b)).map(roleView),
    fixed('owner', owner),
  ]
}

/** Every permission, what it allows, and the roles whose holders have it, from guests to owners. */
export async function readAccess(db: Reader) {
  const roles = (await listRoles(db)).map(({ name, permissions, editable }) => {
    const everybodys = editable ? customer.permissions : []
    return { name, permissions: new Set<string>([...everybodys, ...permissions]) }
  })
  return Object.entries(PERMISSIONS).map(([name, allows]) => ({
    permission: name,
    allows,
    roles: Object.fromEntries(roles.map((role) => [role.name, role.permissions.has(name)])),
  }))
}

/** One role and its version; refuses users.role-not-found. */
export async function findRole(db: Reader, name: string): Promise<{ role: RoleView; version: number }> {
  if (Object.hasOwn(FIXED_ROLES, name))
    return { role: fixed(name, FIXED_ROLES[name as keyof typeof FIXED_ROLES]), version: 1 }
  const { rows } = await sql<Role & { version: number }>`
    select name, description, permissions, built_in as "builtIn", version from users.roles where name = ${name}`.execute(
    db,
  )
  const [row] = rows
  if (!row) throw refuse('users.role-not-found')
  return { role: roleView(row), version: row.version }
}

/** A stored role, as answers show one. */
export const roleView = ({ name, description, permissions, builtIn }: Role): RoleView => ({
  name,
  description,
  permissions,
  builtIn,
  editable: true,
})
