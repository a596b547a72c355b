import type { UserId } from '#kernel/ids.ts'
import type { Reaction, Work } from '#platform/db/work.ts'
import type { Person } from '#platform/privacy.ts'

export type OnUsersErasedNeeds = { readonly forget: (work: Work, person: Person) => Promise<void> }

/** Forgets once more, by account: a request that was under way may have left something behind the erasure's back. */
export const onUsersErased =
  ({ forget }: OnUsersErasedNeeds): Reaction =>
  async (work, events) => {
    const ids = events.flatMap(({ data }) => (data as { userId: UserId | null }).userId ?? [])
    for (const userId of ids.toSorted()) await forget(work, { userId, emailIndex: null })
  }
