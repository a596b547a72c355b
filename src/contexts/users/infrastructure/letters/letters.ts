import { type Language, languageOf } from '#platform/mail/languages.ts'
import { type Said, writeLetter } from '#platform/mail/letter.ts'
import type { LetterKind, WriteLetter } from '../../application/send-letter.ts'
import { linkMinutes } from '../../domain/link.ts'
import { de } from './de.ts'
import { en } from './en.ts'

type Facts = { readonly shop: string; readonly url: string; readonly minutes: number }
type Kind = Parameters<WriteLetter>[0]

/** What the letters of one language say. */
export type Letters = Readonly<Record<Kind, (facts: Facts) => Said>> & { readonly footer: (shop: string) => string }

/** One file for each language that letters are written in. */
const LETTERS: Readonly<Record<Language, Letters>> = { en, de }

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
  (kind, to, token) => {
    const letters = LETTERS[languageOf(to.locale)]
    const url = `${storefrontUrl}${PAGES[kind]}${token === undefined ? '' : `#token=${token}`}`
    return writeLetter(letters[kind]({ shop, url, minutes: minutesOf(kind) }), to, letters.footer(shop))
  }

const minutesOf = (kind: LetterKind | Kind): number =>
  kind === 'verify-email' || kind === 'reset-password' || kind === 'change-email' ? linkMinutes(kind) : 0
