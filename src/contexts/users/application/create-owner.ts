import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type CreateStaffNeeds, createStaff } from './create-staff.ts'

export type CreateOwnerNeeds = CreateStaffNeeds & {
  newPassword(): string
  hashPassword(password: string): Promise<string>
  lockOwners(work: Work): Promise<readonly UserId[]>
}

/**
 * For the first run: makes the owner's account with a random password and returns it, this once; undefined when the
 * shop has an owner. Refuses users.email-taken.
 */
export const createOwner =
  (needs: CreateOwnerNeeds) =>
  async (work: Work, { email, name }: { readonly email: string; readonly name: string }) => {
    if ((await needs.lockOwners(work)).length > 0) return undefined
    const password = needs.newPassword()
    const passwordHash = await needs.hashPassword(password)
    const owner = await createStaff(needs)(work, { email, name, passwordHash, roles: ['owner'] }).catch(
      async (error) => {
        // Another process that starts for the first time as well was faster.
        if ((await needs.lockOwners(work)).length > 0) return undefined
        throw error
      },
    )
    return owner && { email, password }
  }
