import type { ErasureId, UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Person, PersonalData } from '#platform/privacy.ts'
import { refuse } from '../domain/problems.ts'
import { isStaff } from '../domain/roles.ts'
import type { UserErased } from '../domain/user.ts'

/** Whom to forget: an account, or whoever used this e-mail, with an account or without. */
export type WhomToErase = { readonly userId: UserId } | { readonly email: string }

/** One erasure, as it is kept to be applied again to a restored backup. */
export type Erasure = Person & { readonly id: ErasureId; readonly erasedAt: Date }

/** An account that is locked to be erased. */
export type AccountToErase = {
  readonly id: UserId
  readonly roles: readonly string[]
  readonly emailIndex: Buffer
  readonly isVerified: boolean
}

export type ErasePersonNeeds = {
  newErasureId(): ErasureId
  emailIndex(email: string): Buffer
  /** Locks an account that is not erased, by its id or by its e-mail. */
  lockAccount(work: Work, who: Person): Promise<AccountToErase | undefined>
  lockOwners(work: Work): Promise<readonly UserId[]>
  /** Everybody else who keeps personal data. */
  personalDataElsewhere(): readonly PersonalData[]
  eraseUser(work: Work, id: UserId): Promise<void>
  insertErasure(work: Work, erasure: Erasure): Promise<void>
}

/**
 * Forgets a person, at once and for good: the account, its sessions and addresses, and what of it stands in carts and
 * orders; the books stay as they are. Only a verified e-mail reaches what was bought without the account. Refuses
 * users.not-found, users.last-owner, users.staff-account (but for oneself) and what the other contexts refuse.
 */
export const erasePerson =
  (needs: ErasePersonNeeds) =>
  async (work: Work, whom: WhomToErase): Promise<Erasure> => {
    const owners = await needs.lockOwners(work)
    const asked: Person =
      'userId' in whom
        ? { userId: whom.userId, emailIndex: null }
        : { userId: null, emailIndex: needs.emailIndex(whom.email) }
    const account = await needs.lockAccount(work, asked)
    if (!account && asked.userId) throw refuse('users.not-found')
    if (account && owners.length === 1 && owners[0] === account.id) throw refuse('users.last-owner')
    if (account && isStaff(account.roles) && account.id !== work.actor.userId) throw refuse('users.staff-account')
    const emailIndex = asked.emailIndex ?? (account?.isVerified ? account.emailIndex : null)
    const person = { userId: account?.id ?? null, emailIndex }
    for (const { refuseIfNeeded } of needs.personalDataElsewhere()) await refuseIfNeeded(work, person)
    const erasure = { ...person, id: needs.newErasureId(), erasedAt: work.now }
    await forget(needs, work, erasure)
    return erasure
  }

/** Applies an erasure of before to a restored backup; harmless where it is applied already, and to what came after it. */
export const repeatErasure =
  (needs: ErasePersonNeeds) =>
  async (work: Work, erasure: Erasure): Promise<void> => {
    await needs.lockAccount(work, erasure)
    await forget(needs, work, erasure)
  }

async function forget(needs: ErasePersonNeeds, work: Work, erasure: Erasure): Promise<void> {
  const { id, userId, erasedAt } = erasure
  for (const elsewhere of needs.personalDataElsewhere()) await elsewhere.forget(work, erasure, erasedAt)
  if (userId) await needs.eraseUser(work, userId)
  await needs.insertErasure(work, erasure)
  work.audit({ action: 'users.erase', subject: userId ?? id, before: { erased: false }, after: { erased: true } })
  const event: UserErased = { type: 'users.erased.v1', subject: userId ?? id, data: { userId } }
  work.emit(event)
}
