import { createSecretKey, randomBytes } from 'node:crypto'
import { headerOfKey, type KeyRing, makeEncryption } from '#platform/security/encryption.ts'

/** A ring of random keys without a database: the last seals, all open; `id` is the first key's. */
export function fixedRing(count = 1, id = 1): KeyRing {
  const secret = () => createSecretKey(randomBytes(32))
  const keys = Array.from({ length: count }, (_, at) => ({
    header: headerOfKey(id + at),
    columns: secret(),
    receipts: secret(),
  }))
  const index = secret()
  return {
    sealing: (purpose) => {
      const { header, ...key } = keys.at(-1)!
      return { header, secret: key[purpose] }
    },
    opening: (purpose, header) => {
      const key = keys.find((one) => one.header.equals(header))
      if (!key) throw new Error(`no key ${header.toString('hex')}`)
      return key[purpose]
    },
    index: () => index,
  }
}

export const fixedEncryption = () => makeEncryption(fixedRing())
