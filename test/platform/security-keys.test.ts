import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newId } from '#platform/ids.ts'
import { makeGuestTokens } from '#platform/security/guest-tokens.ts'
import {
  parseEncryptionKeys,
  parseSecret,
  parseSigningKeys,
  parseTokenSecrets,
  readOrMakeKeys,
} from '#platform/security/keys.ts'
import { makePasswords } from '#platform/security/passwords.ts'

describe('guest tokens', () => {
  const [old, fresh] = [createSecretKey(randomBytes(32)), createSecretKey(randomBytes(32))]
  const { guestToken, isGuestToken } = makeGuestTokens([old])
  const token = guestToken('ord_1', 1)

  it('accepts the token of this thing in this version', () => {
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(isGuestToken('ord_1', 1, token)).toBe(true)
    expect(guestToken('ord_1', 1)).toBe(token)
  })

  it.each([
    ['nothing', 'ord_1', 1, undefined],
    ['an empty text', 'ord_1', 1, ''],
    ["another thing's", 'ord_2', 1, token],
    ['one that was revoked', 'ord_1', 2, token],
    ['a changed one', 'ord_1', 1, `${token.slice(0, -1)}!`],
    ['a longer one', 'ord_1', 1, `${token}=`],
    ['one of many bytes', 'ord_1', 1, 'é'.repeat(43)],
    ['one of another secret', 'ord_1', 1, makeGuestTokens([fresh]).guestToken('ord_1', 1)],
  ])('refuses %s', (_, id, version, given) => expect(isGuestToken(id, version, given)).toBe(false))

  it('goes on accepting old tokens when a new secret is put in front', () => {
    const rotated = makeGuestTokens([fresh, old])
    expect(rotated.isGuestToken('ord_1', 1, token)).toBe(true)
    expect(rotated.guestToken('ord_1', 1)).not.toBe(token)
  })
})

describe('keys', () => {
  it('are made once, readable by their owner only, and parse', () => {
    const dataDir = join(mkdtempSync(join(tmpdir(), 'stoa-keys-')), 'new')
    const texts = readOrMakeKeys(dataDir)
    expect(readOrMakeKeys(dataDir)).toEqual(texts)
    expect(statSync(join(dataDir, 'keys.json')).mode & 0o777).toBe(0o600)
    expect(parseEncryptionKeys(texts.ENCRYPTION_KEYS)[0]!.id).toBe(1)
    expect(parseTokenSecrets(texts.TOKEN_SECRETS)).toHaveLength(1)
    expect(parseSigningKeys(texts.SIGNING_KEYS)[0]!.kid).toHaveLength(43)
    expect(parseSecret(texts.SANDBOX_WEBHOOK_SECRET, 'SANDBOX_WEBHOOK_SECRET')).toMatch(/^whsec_/)
    expect(readOrMakeKeys(mkdtempSync(join(tmpdir(), 'stoa-keys-')))).not.toEqual(texts)
  })

  const key32 = randomBytes(32).toString('base64')
  const rsaDer = 'MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEA'
  it.each([
    ['ENCRYPTION_KEYS', parseEncryptionKeys, undefined],
    ['ENCRYPTION_KEYS', parseEncryptionKeys, ''],
    ['ENCRYPTION_KEYS', parseEncryptionKeys, key32],
    ['ENCRYPTION_KEYS', parseEncryptionKeys, `256:${key32}`],
    ['ENCRYPTION_KEYS', parseEncryptionKeys, `1:${key32.slice(4)}`],
    ['ENCRYPTION_KEYS', parseEncryptionKeys, `1:${key32.replace(/^./, '*')}`],
    ['ENCRYPTION_KEYS', parseEncryptionKeys, `1:${key32},1:${key32}`],
    ['TOKEN_SECRETS', parseTokenSecrets, undefined],
    ['TOKEN_SECRETS', parseTokenSecrets, 'c2hvcnQ='],
    ['TOKEN_SECRETS', parseTokenSecrets, `${key32},`],
    ['SIGNING_KEYS', parseSigningKeys, undefined],
    ['SIGNING_KEYS', parseSigningKeys, key32],
    ['SIGNING_KEYS', parseSigningKeys, rsaDer],
  ])('%s: a wrong value is refused in one line that names it and does not show it', (variable, parse, text) => {
    let message = ''
    try {
      parse(text)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain(variable)
    expect(message).not.toContain('\n')
    if (text) expect(message).not.toContain(text)
  })

  it('takes several keys, the first in front', () => {
    expect(parseEncryptionKeys(`2:${key32}, 1:${key32}`).map((key) => key.id)).toEqual([2, 1])
    expect(() => parseSecret('short', 'SANDBOX_SECRET_KEY')).toThrow('SANDBOX_SECRET_KEY')
  })
})

describe('passwords', () => {
  const passwords = makePasswords({ tooBusy: () => new Error('too busy') })

  it('hashes with argon2id of at least OWASP strength, each time anew', async () => {
    const stored = await passwords.hash('correct horse')
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(await passwords.hash('correct horse')).not.toBe(stored)
    expect(await passwords.isRight('correct horse', stored)).toBe(true)
    for (const wrong of ['Correct horse', 'correct horse ', 'correct hors', '']) {
      expect(await passwords.isRight(wrong, stored)).toBe(false)
    }
  })

  it('counts every byte, and one spelling of the same characters', async () => {
    const stored = await passwords.hash(`${'x'.repeat(100)}é`)
    expect(await passwords.isRight(`${'x'.repeat(100)}e\u0301`, stored)).toBe(true)
    expect(await passwords.isRight(`${'x'.repeat(100)}e`, stored)).toBe(false)
  })

  it('says no for an unknown user whatever the password', async () => {
    expect(await passwords.isRight('nobody has this password', undefined)).toBe(false)
  })

  it('knows weaker hashes', async () => {
    const { hash } = await import('@node-rs/argon2')
    expect(passwords.needsRehash(await hash('x', { memoryCost: 4096, timeCost: 2 }))).toBe(true)
    expect(passwords.needsRehash(await hash('x', { memoryCost: 19_456, timeCost: 1 }))).toBe(true)
    expect(passwords.needsRehash(await hash('x', { algorithm: 1 }))).toBe(true)
    expect(passwords.needsRehash(await passwords.hash('x'))).toBe(false)
  })

  it('lets a bounded number wait and tells the rest at once', async () => {
    const small = makePasswords({ tooBusy: () => new Error('too busy'), maxWaiting: 3 })
    const results = await Promise.allSettled(Array.from({ length: 40 }, () => small.hash('x')))
    const hashed = results.filter((result) => result.status === 'fulfilled').length
    expect(hashed).toBeGreaterThanOrEqual(4)
    expect(hashed).toBeLessThan(40)
    expect(await small.hash('x')).toMatch(/^\$argon2id/)
  })
})

describe('ids', () => {
  it('are unique and sort by the order they were made in', () => {
    const ids = Array.from({ length: 10_000 }, () => newId('ord'))
    expect(new Set(ids).size).toBe(10_000)
    expect([...ids].sort()).toEqual(ids)
    expect(ids[0]).toMatch(/^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$/)
  })
})
