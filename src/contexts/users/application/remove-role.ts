import type { Work } from '#platform/db/work.ts'
import { type Role, refuseFixed, refuseRemoval } from '../domain/granting.ts'

export type RemoveRoleNeeds = {
  /** Locks a stored role and removes it unless `decide` throws; refuses users.role-not-found and platform.stale. */
  removeRole(work: Work, name: string, decide: (role: Role, isInUse: boolean) => void, version: number): Promise<Role>
}

/** Deletes a role that nobody has, and leaves an audit row. Refuses what domain/granting.ts refuses. */
export const removeRole =
  (needs: RemoveRoleNeeds) =>
  async (work: Work, name: string, version: number): Promise<void> => {
    refuseFixed(name)
    const decide = (role: Role, isInUse: boolean) => refuseRemoval(role, isInUse, work.actor)
    const { description, permissions } = await needs.removeRole(work, name, decide, version)
    work.audit({ action: 'users.remove-role', subject: name, before: { description, permissions }, after: null })
  }
