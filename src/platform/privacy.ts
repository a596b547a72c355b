import type { UserId } from '#kernel/ids.ts'
import type { Reader, Work } from './db/work.ts'

/** Somebody whose personal data is kept: an account, and what was left under its verified e-mail without one. */
export type Person = { readonly userId: UserId | null; readonly emailIndex: Buffer | null }

/** What a context offers that keeps personal data. */
export type PersonalData = {
  /** Everything that it keeps of the person, by name, for their export. */
  readonly collect: (db: Reader, person: Person) => Promise<Readonly<Record<string, unknown>>>
  /** Refuses, with a code of its own, while something is under way that needs the data. */
  readonly refuseIfNeeded: (work: Work, person: Person) => Promise<void>
  /** Takes everything personal out of what it keeps; amounts, counts and ids stay, so that the books do. Again is harmless:
   * under the e-mail only what is older than `until` is theirs, as the address may be another's by then. */
  readonly forget: (work: Work, person: Person, until: Date) => Promise<void>
}
