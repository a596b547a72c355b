import type { Actor } from '#platform/db/work.ts'
import type { Credentials } from '#platform/http/permissions.ts'
import type { AccessClaims, AccessTokens } from '#platform/security/tokens.ts'
import { refuse } from '../domain/problems.ts'
import { guestPermissions, isStaff, permissionsOf } from '../domain/roles.ts'

export type AuthenticateNeeds = {
  accessTokens: AccessTokens
  /** The user's roles while the session is live and the account enabled. */
  findLiveRoles(claims: AccessClaims): Promise<readonly string[] | undefined>
}

/**
 * Who shows these credentials: a guest without an Authorization header. Reads the session and the roles anew each time, so that a
 * logout, a disabled account and a changed role bite on the next request. Refuses users.invalid-token.
 */
export const authenticate =
  (needs: AuthenticateNeeds) =>
  async ({ authorization, address }: Credentials): Promise<Actor> => {
    if (authorization === undefined) return { kind: 'guest', userId: null, address, permissions: guestPermissions }
    const [, token] = /^Bearer ([^ ]+)$/i.exec(authorization) ?? []
    const claims = token && (await needs.accessTokens.read(token))
    const roles = claims && (await needs.findLiveRoles(claims))
    if (!roles) throw refuse('users.invalid-token')
    return { kind: isStaff(roles) ? 'staff' : 'customer', ...claims, address, permissions: permissionsOf(roles) }
  }
