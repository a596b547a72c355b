import type { UserId } from '#kernel/ids.ts'
import type { Reaction } from '#platform/db/work.ts'
import type { ErasePersonNeeds } from './erase-person.ts'

/**
 * Forgets once more, by account, what was left behind the erasure's back: by a request that was under way, and by the
 * erasure's own audit row.
 */
export const onUsersErased =
  ({ personalDataElsewhere }: Pick<ErasePersonNeeds, 'personalDataElsewhere'>): Reaction =>
  async (work, events) => {
    const ids = events.flatMap(({ data }) => (data as { userId: UserId | null }).userId ?? [])
    for (const userId of ids.toSorted())
      for (const { forget } of personalDataElsewhere()) await forget(work, { userId, emailIndex: null }, work.now)
  }
