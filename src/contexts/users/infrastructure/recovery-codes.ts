import { createHash, randomBytes } from 'node:crypto'
import type { RecoveryCode } from '../application/second-factor.ts'

/** 32 letters and digits that are hard to mistake for one another. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789'
const LENGTH = 28

/** Whatever its case, hyphens and blanks. */
export const hashRecoveryCode = (code: string): Buffer =>
  createHash('sha256')
    .update(code.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))
    .digest()

/** 140 random bits, in four groups: `abcdefg-…`. */
export function newRecoveryCode(): RecoveryCode {
  const letters = Array.from(randomBytes(LENGTH), (byte) => LETTERS[byte % LETTERS.length]).join('')
  const code = letters.replaceAll(/.{7}(?=.)/g, '$&-')
  return { code, hash: hashRecoveryCode(code) }
}
