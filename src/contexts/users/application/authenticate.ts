import type { Actor } from '#platform/db/work.ts'
import type { AccessClaims, AccessTokens } from '#platform/security/tokens.ts'
import { refuse } from '../domain/problems.ts'
import { guestPermissions, isStaff, permissionsOf } from '../domain/roles.ts'

export type AuthenticateNeeds = {
  accessTokens: AccessTokens
  /** The user's roles while the session is live and the account enabled. */
  findLiveRoles(claims: AccessClaims): Promise<readonly string[] | undefined>
}

const guest: Actor = { kind: 'guest', userId: null, permissions: guestPermissions }

/**
 * Who sends this Authorization header: a guest without one. Reads the session and the roles anew each time, so that a
 * logout, a disabled account and a changed role bite on the next request. Refuses users.invalid-token.
 */
export const authenticate =
  (needs: AuthenticateNeeds) =>
  async (authorization: string | undefined): Promise<Actor> => {
    if (authorization === undefined) return guest
    const [, token] = /^Bearer ([^ ]+)$/i.exec(authorization) ?? []
    const claims = token && (await needs.accessTokens.read(token))
    const roles = claims && (await needs.findLiveRoles(claims))
    if (!roles) throw refuse('users.invalid-token')
    return { kind: isStaff(roles) ? 'staff' : 'customer', ...claims, permissions: permissionsOf(roles) }
  }
