import type { UserId } from '#kernel/ids.ts'
import type { Single } from '#platform/db/work.ts'
import type { Totp } from '#platform/security/totp.ts'
import { type FindSecondFactor, provedJustNow } from './second-factor.ts'

export type StartTotpNeeds = FindSecondFactor & {
  totp: Totp
  /** What the shop is called in the list of an app. */
  issuer: string
  saveNextSecret(single: Single, userId: UserId, secret: string): Promise<void>
}

/** Makes a secret for an app. It counts once it is confirmed; until then one that is there already does. Refuses users.reauthentication-required. */
export const startTotp =
  (needs: StartTotpNeeds) =>
  async (single: Single): Promise<{ readonly secret: string; readonly uri: string }> => {
    const { userId, factor } = await provedJustNow(needs, single, single.db)
    const secret = needs.totp.newSecret()
    await needs.saveNextSecret(single, userId, secret)
    return { secret, uri: needs.totp.uriOf(secret, needs.issuer, factor.email) }
  }
