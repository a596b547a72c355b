import { randomBytes } from 'node:crypto'
import { systemActor } from '#platform/db/system.ts'
import { networkOf } from '#platform/http/address.ts'
import { newId } from '#platform/ids.ts'
import { addJobs } from '#platform/jobs/queue.ts'
import { shopNameOf } from '#platform/mail/mail.ts'
import type { Context, Platform } from '#platform/platform.ts'
import type { PersonalData } from '#platform/privacy.ts'
import { commonPasswords } from '#platform/security/common-passwords.ts'
import { makeDeviceTokens } from '#platform/security/device-tokens.ts'
import { problemOfHash } from '#platform/security/older-hashes.ts'
import { makePasswords } from '#platform/security/passwords.ts'
import { makeAccessTokens } from '#platform/security/tokens.ts'
import { totp } from '#platform/security/totp.ts'
import type { Config } from '#src/config.ts'
import { onUsersErased } from './application/on-users-erased.ts'
import { LETTERS, type LetterJob, onLetterDue } from './application/send-letter.ts'
import { userUseCases } from './application/use-cases.ts'
import { refuse, usersProblems } from './domain/problems.ts'
import { accountRoutes } from './infrastructure/account-http.ts'
import { accountPages } from './infrastructure/account-pages.ts'
import { addressStore } from './infrastructure/address-store.ts'
import { addressRoutes } from './infrastructure/addresses-http.ts'
import { changeApiKey, hashApiKey, insertApiKey, newApiKeySecret, useApiKey } from './infrastructure/api-key-store.ts'
import { apiKeyRoutes } from './infrastructure/api-keys-http.ts'
import { authRoutes } from './infrastructure/auth-http.ts'
import { erasureStore } from './infrastructure/erasure-store.ts'
import { userRoutes } from './infrastructure/http.ts'
import { readRecords } from './infrastructure/import-files.ts'
import { importStore } from './infrastructure/import-store.ts'
import { letterWriter } from './infrastructure/letters/letters.ts'
import { limitMail } from './infrastructure/limits.ts'
import { forgetLinks, linkStore } from './infrastructure/link-store.ts'
import { forgetFailures, hashSessionId, loginStore } from './infrastructure/login-store.ts'
import { mfaRoutes } from './infrastructure/mfa-http.ts'
import { privacyRoutes } from './infrastructure/privacy-http.ts'
import { hashRecoveryCode, newRecoveryCode } from './infrastructure/recovery-codes.ts'
import { hashRefreshToken, newRefreshToken, refreshStore } from './infrastructure/refresh-store.ts'
import { endOwnSessions, endSession, logOutSessions, revokeOtherSessions } from './infrastructure/revocation-store.ts'
import { changeRole, insertRole, lockRoles, removeRole } from './infrastructure/role-store.ts'
import { readAccess } from './infrastructure/role-views.ts'
import { roleRoutes } from './infrastructure/roles-http.ts'
import { rootRoutes } from './infrastructure/root-http.ts'
import { secondFactorStore } from './infrastructure/second-factor-store.ts'
import { forgetEnded, sessionStore } from './infrastructure/session-store.ts'
import { sessionViews } from './infrastructure/session-views.ts'
import { sessionRoutes } from './infrastructure/sessions-http.ts'
import { userStore } from './infrastructure/user-store.ts'
import { userViews } from './infrastructure/user-views.ts'

export type { ImportUsersOutcome, UsersFormat } from './application/import-users.ts'
export type { SessionRevoked } from './domain/session.ts'
export type {
  StaffCreated,
  UserChanged,
  UserDisabled,
  UserEnabled,
  UserErased,
  UserRegistered,
  UserRegisteredAgain,
  UserRolesChanged,
} from './domain/user.ts'
export type UsersContext = ReturnType<typeof users>

/** Who else keeps personal data: asked when it is needed, as those are built after the users. */
type Neighbours = { readonly personalDataElsewhere: () => readonly PersonalData[] }

/** Accounts, roles and sessions. `authenticate` tells who asks, on every request; `createOwner` is for the first run. */
export function users(platform: Platform, config: Config, neighbours: Neighbours) {
  const { db, clock, encryption, limits, log, mail, perform } = platform
  const accessTokens = makeAccessTokens({ keys: config.signingKeys, issuer: config.publicUrl, clock })
  const passwords = makePasswords({
    tooBusy: () => refuse('users.too-busy', undefined, { retryAfterSeconds: 2 }),
  })
  const views = userViews(db, encryption)
  const store = userStore(encryption)
  const sessions = sessionStore(views, encryption)
  const erasures = erasureStore(encryption)
  const addresses = addressStore(encryption)
  const use = userUseCases({
    ...store,
    ...erasures,
    ...addresses,
    newAddressId: () => newId('adr'),
    ...neighbours,
    ...sessions,
    ...linkStore(encryption),
    ...loginStore(encryption),
    mail,
    writeLetter: letterWriter(shopNameOf(config), config.storefrontUrl),
    ...secondFactorStore(encryption),
    ...{ lockRoles, insertRole, changeRole, removeRole },
    ...refreshStore(views, encryption),
    perform,
    endSession,
    endOwnSessions,
    logOutSessions,
    revokeOtherSessions,
    ...{ hashApiKey, newApiKeySecret, insertApiKey, changeApiKey },
    useApiKey: useApiKey(db, clock),
    newApiKeyId: () => newId('key'),
    ...importStore(encryption),
    clock,
    readRecords,
    hashProblem: problemOfHash,
    newImportId: () => newId('imp'),
    accessTokens,
    deviceTokens: makeDeviceTokens(config.tokenSecrets),
    totp,
    issuer: new URL(config.publicUrl).host,
    staffMfa: config.staffMfa,
    networkOf,
    maxFailuresInARow: config.rateLimits ? 100 : 2_147_483_647,
    attemptLimits: {
      account: limits.define('log-in-account', { points: 10, seconds: 900 }),
      address: limits.define('log-in-address', { points: 100, seconds: 3_600 }),
      code: limits.define('second-factor', { points: 5, seconds: 900 }),
    },
    note: ({ requestId }, level, action, actor, reason) => log[level]({ requestId, actor, action, reason }, 'security'),
    passwords,
    hashPassword: passwords.hash,
    commonPasswords,
    passwordMinLength: config.passwordMinLength,
    shopWords: [
      config.mailFrom.replace(/ *<.*/, ''),
      new URL(config.storefrontUrl).hostname.replace(/^www\.|\.[^.]*$/g, ''),
    ],
    newPassword: () => randomBytes(15).toString('base64url'),
    newErasureId: () => newId('era'),
    newUserId: () => newId('usr'),
    newSessionId: () => newId('ses'),
    newRefreshToken,
    hashRefreshToken,
    hashSessionId,
    newRecoveryCode,
    hashRecoveryCode,
    findLiveSession: sessions.findLiveSession(db, clock),
  })
  return {
    authenticate: use.authenticate,
    createOwner: use.createOwner,
    importUsers: use.importUsers,
    findAddress: addresses.findAddress,
    repeatErasure: use.repeatErasure,
    listErasures: erasures.listErasures,
    readAccess: () => readAccess(db),
    problems: usersProblems,
    routes: async (app) => {
      const mayGetMail = limitMail(limits)
      await app.register(authRoutes(use, platform, mayGetMail))
      await app.register(accountRoutes(use, views, platform, mayGetMail))
      await app.register(sessionRoutes(use, sessionViews(db, encryption), platform))
      await app.register(addressRoutes(use, addresses, platform))
      await app.register(mfaRoutes(use, platform))
      await app.register(userRoutes(use, views, platform))
      await app.register(privacyRoutes(use, platform))
      await app.register(roleRoutes(use, platform))
      await app.register(apiKeyRoutes(use, platform))
    },
    /** Mounted without a prefix. */
    rootRoutes: async (app) => {
      await app.register(rootRoutes(accessTokens))
      if (config.storefrontUrl === config.publicUrl) await app.register(accountPages)
    },
    on: {
      'users.erased.v1': { 'users.forget-again': onUsersErased(neighbours) },
      ...Object.fromEntries(
        Object.keys(LETTERS).map((type) => [
          type,
          { 'users.write-letter': onLetterDue((work, jobs) => addJobs(work.tx, jobs)) },
        ]),
      ),
    },
    tasks: {
      'users.send-letter': (job, { id }) =>
        perform.one({ actor: systemActor, requestId: `job:${id}` }, (single) =>
          use.sendLetter(single, job as LetterJob),
        ),
      'users.forget-ended': async () => {
        const now = clock()
        await Promise.all([forgetEnded(db, now), forgetFailures(db, now), forgetLinks(db, now)])
      },
    },
    cron: [{ task: 'users.forget-ended', match: '27 * * * *' }],
    measures: [],
  } satisfies Context & { readonly rootRoutes: Context['routes'] } & Record<string, unknown>
}
