/** What is read of a person. */
export type ImportField =
  | 'email'
  | 'passwordHash'
  | 'name'
  | 'firstName'
  | 'lastName'
  | 'emailVerified'
  | 'createdAt'
  | 'role'

/** The names that systems give to these columns, without case and signs; of several that are there the first counts. */
const NAMES: Readonly<Record<ImportField, string>> = {
  email: 'email emailaddress mail useremail',
  passwordHash: 'passwordhash hashedpassword encryptedpassword passworddigest userpass hash password',
  name: 'name fullname displayname',
  firstName: 'firstname givenname',
  lastName: 'lastname surname familyname',
  emailVerified: 'emailverifiedat emailverified isemailverified emailconfirmedat emailconfirmed confirmedat verified',
  createdAt: 'createdat created datejoined registeredat registrationdate creationdate',
  role: 'role roles userrole isstaff issuperuser isadmin',
}
const FIELDS = new Map<string, { field: ImportField; rank: number }>()
for (const [field, names] of Object.entries(NAMES))
  for (const [rank, name] of names.split(' ').entries()) FIELDS.set(name, { field: field as ImportField, rank })

const plainName = (column: string) => column.toLowerCase().replace(/[^a-z0-9]/g, '')

/** What a column is read as; undefined for one that is not. */
export const fieldOf = (column: string): ImportField | undefined => FIELDS.get(plainName(column))?.field

export type Field = { readonly column: string; readonly text: string }

/** The cells of a row by what they are read as: those with something in them, the best name first. */
export function fieldsOf(values: ReadonlyMap<string, string>): ReadonlyMap<ImportField, readonly Field[]> {
  const found = new Map<ImportField, (Field & { rank: number })[]>()
  for (const [column, given] of values) {
    const known = FIELDS.get(plainName(column))
    const text = given.trim()
    if (!known || text === '') continue
    const fields = found.get(known.field) ?? []
    found.set(
      known.field,
      [...fields, { column, text, rank: known.rank }].sort((a, b) => a.rank - b.rank),
    )
  }
  return found
}
