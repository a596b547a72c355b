import type { Actor } from './work.ts'

/** Stoa itself: jobs, reactions and the operator's command line. It may do everything that a use case offers. */
export const systemActor: Actor = {
  kind: 'system',
  userId: null,
  address: null,
  permissions: { has: () => true } as unknown as ReadonlySet<string>,
}
