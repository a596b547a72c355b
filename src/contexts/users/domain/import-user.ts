import { type Cell, readName, readTime, readVerified } from './import-cells.ts'
import { fieldsOf, type ImportField } from './import-columns.ts'

/** One person of a file of another system, by the names of its columns; or what is wrong with the row as a whole. */
export type FileRecord =
  | { readonly row: number; readonly values: ReadonlyMap<string, string> }
  | { readonly row: number; readonly problem: string }

/** A customer as another system had them. Without a hash they have to reset their password. */
export type ImportedUser = {
  readonly row: number
  readonly email: string
  readonly name: string | null
  readonly passwordHash: string | null
  readonly emailVerifiedAt: Date | null
  readonly createdAt: Date | null
}

/** Why a row is not taken. It names the row and the column, never what stands there. */
export type RowProblem = { readonly row: number; readonly column: string | null; readonly reason: string }

export type ImportRules = {
  readonly now: Date
  /** What is wrong with a password hash, if anything. */
  readonly hashProblem: (hash: string) => string | undefined
}

/** The format that the API asks of an e-mail address. */
const EMAIL =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i
const EMAIL_MAX_LENGTH = 254
const CUSTOMERS = /^(?:customer|user|member|shopper|subscriber|registered|false|f|no|n|0|\[\]|\{\})$/i
/** What exports write for nothing; Django marks an account without a password with an exclamation mark. */
const NO_HASH = /^(?:null|\\N|!.*)?$/i

/** Reads one row: a customer, or the first thing that is wrong with it. */
export function readUser(record: FileRecord, { now, hashProblem }: ImportRules): ImportedUser | RowProblem {
  const { row } = record
  if ('problem' in record) return { row, column: null, reason: record.problem }
  const fields = fieldsOf(record.values)
  const text = (field: ImportField) => fields.get(field)?.[0]?.text ?? ''
  const refused = (field: ImportField, reason: string, column = fields.get(field)?.[0]?.column): RowProblem => ({
    row,
    column: column ?? field,
    reason,
  })

  const email = text('email')
  if (email === '') return refused('email', 'is empty')
  if (email.length > EMAIL_MAX_LENGTH || !EMAIL.test(email)) return refused('email', 'is not an e-mail address')
  const staff = fields.get('role')?.find((role) => !CUSTOMERS.test(role.text))
  if (staff) return refused('role', 'is more than a customer: staff are made with POST /v1/users', staff.column)
  const passwordHash = NO_HASH.test(text('passwordHash')) ? null : text('passwordHash')
  const unfit = passwordHash && hashProblem(passwordHash)
  if (unfit) return refused('passwordHash', unfit)

  const cells = {
    name: readName(text('name') || `${text('firstName')} ${text('lastName')}`.trim()),
    emailVerified: readVerified(text('emailVerified'), now),
    createdAt: readTime(text('createdAt'), now),
  } satisfies Partial<Record<ImportField, Cell<unknown>>>
  for (const [field, cell] of Object.entries(cells))
    if ('reason' in cell) return refused(field as ImportField, cell.reason)
  return {
    row,
    email,
    passwordHash,
    name: taken(cells.name),
    emailVerifiedAt: taken(cells.emailVerified),
    createdAt: taken(cells.createdAt),
  }
}

const taken = <T>(cell: Cell<T>): T | null => ('reason' in cell ? null : cell.value)
