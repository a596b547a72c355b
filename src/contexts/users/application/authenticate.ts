import type { ApiKeyId } from '#kernel/ids.ts'
import type { Actor } from '#platform/db/work.ts'
import type { Credentials } from '#platform/http/permissions.ts'
import type { AccessClaims, AccessTokens } from '#platform/security/tokens.ts'
import { refuse } from '../domain/problems.ts'
import { accountPermissions, guestPermissions, isStaff, permissionsOf } from '../domain/roles.ts'

export type AuthenticateNeeds = {
  accessTokens: AccessTokens
  /** The session and its user's roles, while it is live and the account enabled. */
  findLiveSession(claims: AccessClaims): Promise<LiveSession | undefined>
  hashApiKey(secret: string): Buffer
  /** What an API key allows while it is live. */
  useApiKey(hash: Buffer): Promise<LiveApiKey | undefined>
  /** Whether staff must have proved themselves by a second factor. */
  staffMfa: boolean
}

/** What a session has proved, and the roles and the language of whose it is. */
export type LiveSession = {
  readonly locale: string
  readonly roles: readonly string[]
  /** What those of them allow that are stored. */
  readonly granted: readonly string[]
  readonly authenticatedAt: Date
  readonly secondFactorAt: Date | null
}

export type LiveApiKey = { readonly id: ApiKeyId; readonly permissions: readonly string[] }

const API_KEY = /^sk_[\w-]{43}$/

/**
 * Who shows these credentials: a guest without an Authorization header. Reads the session and its roles, or the
 * API key, anew each time, so that a logout, a disabled account, a changed role and a revoked key bite on the next request. A
 * server may do what guests may, and what its key allows. Staff who lack their second factor may do what a customer may,
 * until they have it. Refuses users.invalid-token.
 */
export const authenticate =
  (needs: AuthenticateNeeds) =>
  async ({ authorization, address }: Credentials): Promise<Actor> => {
    if (authorization === undefined) return { kind: 'guest', userId: null, address, permissions: guestPermissions }
    const [, token = ''] = /^Bearer ([^ ]+)$/i.exec(authorization) ?? []
    if (API_KEY.test(token)) {
      const key = await needs.useApiKey(needs.hashApiKey(token))
      if (!key) throw refuse('users.invalid-token')
      const permissions = new Set([...guestPermissions, ...key.permissions])
      return { kind: 'server', userId: null, apiKeyId: key.id, address, permissions }
    }
    const claims = token && (await needs.accessTokens.read(token))
    const session = claims && (await needs.findLiveSession(claims))
    if (!session) throw refuse('users.invalid-token')
    const { roles, granted, ...proved } = session
    const kind = isStaff(roles) ? 'staff' : 'customer'
    const actor = { kind, ...claims, ...proved, address, permissions: permissionsOf(roles, granted) } as const
    if (kind === 'customer' || proved.secondFactorAt || !needs.staffMfa) return actor
    return { ...actor, permissions: accountPermissions, withheld: actor.permissions }
  }
