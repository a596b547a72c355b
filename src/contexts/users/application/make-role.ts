import type { Work } from '#platform/db/work.ts'
import { type Role, makeRole as roleMade } from '../domain/granting.ts'
import { refuse } from '../domain/problems.ts'

export type MakeRoleNeeds = {
  /** Saves the role, unless there is one of its name: then it answers false. */
  insertRole(work: Work, role: Role): Promise<boolean>
}

/** Makes a role of the shop's own, and leaves an audit row; refuses users.cannot-grant and users.role-exists. */
export const makeRole =
  (needs: MakeRoleNeeds) =>
  async (work: Work, draft: Omit<Role, 'builtIn'>): Promise<Role> => {
    const role = roleMade(draft, work.actor)
    if (!(await needs.insertRole(work, role))) throw refuse('users.role-exists')
    const { description, permissions } = role
    work.audit({ action: 'users.make-role', subject: role.name, before: null, after: { description, permissions } })
    return role
  }
