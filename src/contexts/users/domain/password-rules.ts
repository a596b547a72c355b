import { refuse } from './problems.ts'

/** The longest password that is taken, in characters; every one of them counts. */
export const PASSWORD_MAX_LENGTH = 128

export type PasswordPolicy = {
  /** In characters. */
  readonly minLength: number
  /** The passwords that attackers try first, in lower case. */
  readonly listed: ReadonlySet<string>
  /** What somebody who knows the person or the shop tries next: e-mail, name, the shop's name. */
  readonly ownWords: readonly string[]
}

/**
 * Refuses users.weak-password: too short, or among the first that an attacker tries. No rule on which characters, no
 * trimming, no expiry (NIST SP 800-63B). Lengths count characters, not bytes.
 */
export function refuseWeakPassword(password: string, policy: PasswordPolicy): void {
  const detail = weaknessOf(password, policy)
  if (detail)
    throw refuse('users.weak-password', `The password ${detail}.`, { errors: [{ pointer: '/password', detail }] })
}

function weaknessOf(password: string, { minLength, listed, ownWords }: PasswordPolicy): string | undefined {
  const length = [...password].length
  if (length < minLength) return `has fewer than ${minLength} characters`
  if (length > PASSWORD_MAX_LENGTH) return `has more than ${PASSWORD_MAX_LENGTH} characters`
  const forms = formsOf(password)
  if (forms.some((form, index) => listed.has(form) || isRun(form) || isRepeated(form, listed, index === 0 ? 4 : 1)))
    return 'is among the well-known ones'
  const own = new Set(ownWords.flatMap(partsOf))
  return forms.some((form) => own.has(form))
    ? "is the e-mail address, the name or the shop's, or a part of it"
    : undefined
}

/** As it is; without digits and signs around its word; that word without blanks, hyphens and dots, and with letters for `@$013`. */
function formsOf(password: string): string[] {
  const whole = password.toLowerCase()
  const word = whole.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '')
  const joined = word.replace(/[\s._-]+/g, '')
  const spelled = joined.replace(/[@$0135]/g, (sign) => SPELLED[sign] as string)
  return [...new Set([whole, word, joined, spelled])].filter((form) => form.length >= 3)
}
const SPELLED: Readonly<Record<string, string>> = { '@': 'a', $: 's', '0': 'o', '1': 'l', '3': 'e', '5': 's' }

const KEYS = ['qwertyuiopasdfghjklzxcvbnm', 'qwertzuiopasdfghjklyxcvbnm', 'azertyuiopqsdfghjklmwxcvbn']
const RUNS = ['abcdefghijklmnopqrstuvwxyz', '01234567890123456789', ...KEYS]
const reversed = (text: string) => [...text].reverse().join('')
const isRun = (form: string) => RUNS.some((run) => run.includes(form) || reversed(run).includes(form))

/** One short piece over and over, or a listed word. */
const isRepeated = (form: string, listed: ReadonlySet<string>, shortLength: number) =>
  Array.from({ length: form.length >> 1 }, (_, index) => index + 1).some((size) => {
    const piece = form.slice(0, size)
    const repeated = piece.repeat(Math.ceil(form.length / size)).slice(0, form.length)
    return form === repeated && (size <= shortLength || listed.has(piece))
  })

/** `ann.lee@shop.example` and `Ann Lee` are tried whole, without signs, and in their parts; of an address what stands before the @. */
function partsOf(own: string): string[] {
  const whole = own.toLowerCase()
  const [name = ''] = whole.split('@')
  const parts = name.split(/[^\p{L}\p{N}]+/u)
  return [whole, ...[name, parts.join(''), ...parts].flatMap(formsOf)]
}
