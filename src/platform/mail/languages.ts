/** The languages that mails are written in; the first is for everybody else. */
export const LANGUAGES = ['en', 'de'] as const
export type Language = (typeof LANGUAGES)[number]

/** The language that somebody with this locale, such as `de-AT`, is written to in. */
export const languageOf = (locale: string): Language => known(locale) ?? LANGUAGES[0]

const known = (locale: string): Language | undefined => LANGUAGES.find((language) => locale.split('-')[0] === language)

/** How long a header is read: what browsers send is far shorter. */
const READ_CHARS = 200
const LOCALE = /^[a-z]{2}(-([A-Z]{2}|\d{3}))?$/

/** The locale of an Accept-Language header that is liked best among those we write; undefined when there is none. */
export function localeOf(acceptLanguage: string | undefined): string | undefined {
  const wanted = (acceptLanguage ?? '')
    .slice(0, READ_CHARS)
    .split(',')
    .flatMap((range) => {
      const [, tag = '', region, quality = '1'] = RANGE.exec(range.trim()) ?? []
      const locale = region ? `${tag.toLowerCase()}-${region.toUpperCase()}` : tag.toLowerCase()
      return known(locale) && LOCALE.test(locale) && Number(quality) > 0 ? [{ locale, quality: Number(quality) }] : []
    })
  return wanted.toSorted((a, b) => b.quality - a.quality)[0]?.locale
}

/** `de`, `de-AT;q=0.8`, `de-Latn-AT`: language, region and how much it is liked. */
const RANGE = /^([a-z]{2})(?:-[a-z]{4})?(?:-([a-z]{2}|\d{3}))?(?:\s*;\s*q=(0(?:\.\d{1,3})?|1(?:\.0{1,3})?))?$/i
