import type { Actor } from './work.ts'

/** Whose doing something is, as it is written down: a user's id or an API key's; null for guests and for Stoa itself. */
export const actorIdOf = ({ userId, apiKeyId }: Actor): string | null => userId ?? apiKeyId ?? null

/** Stoa itself: jobs, reactions and the operator's command line. It may do everything that a use case offers. */
export const systemActor: Actor = {
  kind: 'system',
  userId: null,
  address: null,
  permissions: { has: () => true } as unknown as ReadonlySet<string>,
}
