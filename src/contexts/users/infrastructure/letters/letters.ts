import { type Block, layOut } from '#platform/mail/layout.ts'
import type { LetterKind, WriteLetter } from '../../application/send-letter.ts'
import { linkMinutes } from '../../domain/link.ts'
import { de } from './de.ts'
import { en } from './en.ts'

type Facts = { readonly shop: string; readonly url: string; readonly minutes: number }
type Kind = Parameters<WriteLetter>[0]

/** What the letters of one language say. */
export type Letters = Readonly<
  Record<Kind, (facts: Facts) => { readonly subject: string; readonly blocks: readonly Block[] }>
> & {
  readonly greeting: (name: string | null) => string
  readonly footer: (shop: string) => string
}

/** One file for each language that letters are written in; the first is for everybody else. */
const LANGUAGES: Readonly<Record<string, Letters>> = { en, de }
export const LOCALES = Object.keys(LANGUAGES)

/** Where a letter's link leads to in the shop front. */
const PAGES: Readonly<Record<Kind, string>> = {
  'verify-email': '/verify-email',
  'reset-password': '/reset-password',
  'change-email': '/change-email',
  'registered-again': '/reset-password',
  'password-changed': '/reset-password',
  'email-change-noticed': '/reset-password',
  'email-changed': '/',
  'email-taken': '/',
}

/**
 * Writes letters in their readers' language. A token stands behind the #: browsers send that to no server, so that it is in
 * no log and no Referer. Links lead to the configured shop front, whatever a request says its host is.
 */
export const letterWriter =
  (shop: string, storefrontUrl: string): WriteLetter =>
  (kind, { name, locale }, token) => {
    const letters = LANGUAGES[locale] ?? en
    const url = `${storefrontUrl}${PAGES[kind]}${token === undefined ? '' : `#token=${token}`}`
    const { subject, blocks } = letters[kind]({ shop, url, minutes: minutesOf(kind) })
    const letter = { greeting: letters.greeting(name), blocks, footer: letters.footer(shop), lang: locale }
    return { subject, ...layOut(letter) }
  }

const minutesOf = (kind: LetterKind | Kind): number =>
  kind === 'verify-email' || kind === 'reset-password' || kind === 'change-email' ? linkMinutes(kind) : 0
