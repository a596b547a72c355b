import type { Decision } from '#kernel/event.ts'
import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { changeMe as changed, type MyChange, type User } from '../domain/user.ts'

/** Locks one user, lets `decide` change them, saves, and queues the events; `version` is refused with platform.stale when old. */
export type ChangeUser = (
  work: Work,
  id: UserId,
  decide: (user: User) => Decision<User>,
  version?: number,
) => Promise<{ readonly before: User; readonly after: User; readonly version: number }>

export type ChangeMeNeeds = { changeUser: ChangeUser }

/** A person changes their own name or language. */
export const changeMe =
  (needs: ChangeMeNeeds) =>
  async (work: Work, userId: UserId, change: MyChange): Promise<User> =>
    (await needs.changeUser(work, userId, (user) => changed(user, change))).after
