import type { UserId } from '#kernel/ids.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Person, PersonalData } from '#platform/privacy.ts'

export type ExportPersonNeeds = {
  /** Who the account is to the other contexts; refuses users.not-found. */
  findPerson(db: Reader, id: UserId): Promise<Person>
  collectAccount(db: Reader, id: UserId): Promise<Readonly<Record<string, unknown>>>
  personalDataElsewhere(): readonly PersonalData[]
}

/** Everything that is kept of an account's holder, in one value: account, addresses, sessions, carts, orders, payments. Refuses users.not-found. */
export const exportPerson =
  (needs: ExportPersonNeeds) =>
  async (db: Reader, id: UserId, now: Date): Promise<Record<string, unknown>> => {
    const person = await needs.findPerson(db, id)
    const parts = [await needs.collectAccount(db, id)]
    for (const { collect } of needs.personalDataElsewhere()) parts.push(await collect(db, person))
    return Object.assign({ exportedAt: now.toISOString() }, ...parts)
  }
