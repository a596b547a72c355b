import { type Language, languageOf } from './languages.ts'
import { type Block, layOut } from './layout.ts'
import type { Mail } from './mail.ts'

const GREETINGS: Readonly<Record<Language, (name: string | null) => string>> = {
  en: (name) => (name ? `Hello ${name},` : 'Hello,'),
  de: (name) => (name ? `Guten Tag ${name},` : 'Guten Tag,'),
}

/** What one letter says; all of it is plain text. */
export type Said = { readonly subject: string; readonly blocks: readonly Block[] }

/** Writes a letter: greeted in its reader's language, laid out, and signed with `footer`. Null: without a name. */
export function writeLetter(
  { subject, blocks }: Said,
  { name, locale }: { readonly name: string | null; readonly locale: string },
  footer: string,
): Omit<Mail, 'key' | 'to'> {
  const lang = languageOf(locale)
  return { subject, ...layOut({ greeting: GREETINGS[lang](name), blocks, footer, lang }) }
}
