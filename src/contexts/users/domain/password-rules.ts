import { COMMON_PASSWORDS, COMMON_WORDS } from './common-passwords.ts'
import { refuse } from './problems.ts'

/** The longest password that is taken, in characters; every one of them counts. */
export const PASSWORD_MAX_LENGTH = 128
const MIN_LENGTH = { customer: 8, staff: 15 } as const

/**
 * Refuses users.weak-password: too short, or among the first that an attacker tries. No rule on which characters, no
 * trimming, no expiry (NIST SP 800-63B). Lengths count characters, not bytes.
 */
export function refuseWeakPassword(password: string, whose: keyof typeof MIN_LENGTH): void {
  const detail = weaknessOf(password, MIN_LENGTH[whose])
  if (detail)
    throw refuse('users.weak-password', `The password ${detail}.`, { errors: [{ pointer: '/password', detail }] })
}

function weaknessOf(password: string, minLength: number): string | undefined {
  const length = [...password].length
  if (length < minLength) return `has fewer than ${minLength} characters`
  if (length > PASSWORD_MAX_LENGTH) return `has more than ${PASSWORD_MAX_LENGTH} characters`
  return isCommon(password.toLowerCase()) ? 'is among the well-known ones' : undefined
}

/** Listed; or a listed word with digits and signs around it; or one run, or one short piece over and over. */
function isCommon(password: string): boolean {
  const word = password.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '')
  return COMMON_PASSWORDS.has(password) || COMMON_WORDS.has(word) || isRun(password) || isRepeated(password)
}

const RUNS = ['abcdefghijklmnopqrstuvwxyz', '01234567890123456789', 'qwertyuiopasdfghjklzxcvbnm']
const reversed = (text: string) => [...text].reverse().join('')
const isRun = (password: string) => RUNS.some((run) => run.includes(password) || reversed(run).includes(password))

const isRepeated = (password: string) =>
  [1, 2, 3, 4].some(
    (size) =>
      password ===
      password
        .slice(0, size)
        .repeat(Math.ceil(password.length / size))
        .slice(0, password.length),
  )
