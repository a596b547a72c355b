import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import type { StoredRoles } from '../domain/roles.ts'
import { createStaff as staffCreated, type User } from '../domain/user.ts'
import type { InsertUser, Registration } from './register.ts'

export type CreateStaffNeeds = {
  newUserId(): UserId
  insertUser: InsertUser
  /** The stored roles, which stay as they are until the commit. */
  lockRoles(work: Work): Promise<StoredRoles>
}

/** Makes a staff account with these roles; refuses users.unknown-role, users.cannot-grant and users.email-taken. Leaves an audit row. */
export const createStaff =
  (needs: CreateStaffNeeds) =>
  async (work: Work, wanted: Registration & { readonly roles: readonly string[] }): Promise<User> => {
    const stored = await needs.lockRoles(work)
    const { state: user, events } = staffCreated({ id: needs.newUserId(), ...wanted }, work.actor, stored, work.now)
    if ((await needs.insertUser(work, user)) !== user.id) throw refuse('users.email-taken')
    work.audit({ action: 'users.create-staff', subject: user.id, before: null, after: { roles: user.roles } })
    work.emit(...events)
    return user
  }
