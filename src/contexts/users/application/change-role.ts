import type { Work } from '#platform/db/work.ts'
import { type Role, type RoleChange, refuseFixed, changeRole as roleChanged } from '../domain/granting.ts'

export type ChangeRoleNeeds = {
  /** Locks a stored role, lets `decide` change it and saves; refuses users.role-not-found and platform.stale. */
  changeRole(
    work: Work,
    name: string,
    decide: (role: Role) => Role,
    version: number,
  ): Promise<{ readonly before: Role; readonly after: Role; readonly version: number }>
}

/**
 * Changes what a role is for or allows, and leaves an audit row; it bites on the next request of whoever has it. Refuses what
 * domain/granting.ts refuses.
 */
export const changeRole =
  (needs: ChangeRoleNeeds) => async (work: Work, name: string, change: RoleChange, version: number) => {
    refuseFixed(name)
    const decide = (role: Role) => roleChanged(role, change, work.actor)
    const { before, after, version: newVersion } = await needs.changeRole(work, name, decide, version)
    work.audit({ action: 'users.change-role', subject: name, before: audited(before), after: audited(after) })
    return { role: after, version: newVersion }
  }

const audited = ({ description, permissions }: Role) => ({ description, permissions })
