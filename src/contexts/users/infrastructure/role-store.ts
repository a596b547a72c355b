import { sql } from 'kysely'
import type { Reader, Work } from '#platform/db/work.ts'
import { refuse as refusePlatform } from '#platform/problems.ts'
import type { ChangeRoleNeeds } from '../application/change-role.ts'
import type { MakeRoleNeeds } from '../application/make-role.ts'
import type { RemoveRoleNeeds } from '../application/remove-role.ts'
import type { Role } from '../domain/granting.ts'
import { refuse } from '../domain/problems.ts'
import { FIRST_ROLES, type StoredRoles } from '../domain/roles.ts'

type RoleRow = Role & { readonly version: number }

/**
 * Stores the roles that a shop begins with where they are missing. One that nobody has changed yet follows this version of
 * Stoa; what the shop made of it stays as it is.
 */
export async function storeFirstRoles(db: Reader, now: Date): Promise<void> {
  const roles = Object.entries(FIRST_ROLES).map(([name, role]) => ({ name, ...role }))
  await sql`
    insert into users.roles (name, description, permissions, built_in, updated_at)
    select name, description, permissions, true, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(roles)}::jsonb) as r (name text, description text, permissions text[])
    on conflict (name) do update set description = excluded.description, permissions = excluded.permissions
    where roles.built_in and roles.version = 1
      and (roles.description, roles.permissions) is distinct from (excluded.description, excluded.permissions)`.execute(
    db,
  )
}

/** Locks every stored role against changes, not against others who only rely on them. */
export async function lockRoles(work: Work): Promise<StoredRoles> {
  const { rows } = await sql<{ name: string; permissions: string[] }>`
    select name, permissions from users.roles order by name for share`.execute(work.tx)
  return new Map(rows.map(({ name, permissions }) => [name, permissions]))
}

export const insertRole: MakeRoleNeeds['insertRole'] = async (work, { name, description, permissions, builtIn }) => {
  const { rows } = await sql`
    insert into users.roles (name, description, permissions, built_in, updated_at)
    values (${name}, ${description}, ${permissions}::text[], ${builtIn}, ${work.now})
    on conflict (name) do nothing returning name`.execute(work.tx)
  return rows.length === 1
}

export const changeRole: ChangeRoleNeeds['changeRole'] = async (work, name, decide, version) => {
  const before = await lockRole(work, name, version)
  const after = decide(before)
  if (after.description === before.description && after.permissions.join() === before.permissions.join())
    return { before, after, version }
  await sql`
    update users.roles set description = ${after.description}, permissions = ${after.permissions}::text[],
      version = version + 1, updated_at = ${work.now}
    where name = ${name}`.execute(work.tx)
  return { before, after, version: version + 1 }
}

/** Who gives the role meanwhile holds it by lockRoles: whether somebody has it is asked under our own lock. */
export const removeRole: RemoveRoleNeeds['removeRole'] = async (work, name, decide, version) => {
  const role = await lockRole(work, name, version)
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from users.users
      where roles <> '{customer}' and ${name} = any(roles) and erased_at is null) as found`.execute(work.tx)
  decide(role, rows[0]?.found ?? true)
  await sql`delete from users.roles where name = ${name}`.execute(work.tx)
  return role
}

async function lockRole(work: Work, name: string, version: number): Promise<Role> {
  const { rows } = await sql<RoleRow>`
    select name, description, permissions, built_in as "builtIn", version
    from users.roles where name = ${name} for update`.execute(work.tx)
  const [row] = rows
  if (!row) throw refuse('users.role-not-found')
  if (row.version !== version) throw refusePlatform('platform.stale')
  return row
}
