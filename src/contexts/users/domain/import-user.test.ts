import { describe, expect, it } from 'vitest'
import { readUser } from './import-user.ts'

const now = new Date('2026-01-01T00:00:00Z')
const rules = { now, hashProblem: (hash: string) => (hash === 'odd' ? 'has a form that is not known' : undefined) }
const read = (values: Record<string, string>) =>
  readUser({ row: 7, values: new Map(Object.entries({ email: 'ann@shop.example', ...values })) }, rules)

describe('a row of another system', () => {
  it.each<[string, Record<string, string>, object]>([
    ['an address alone', {}, { email: 'ann@shop.example', name: null, passwordHash: null, emailVerifiedAt: null }],
    ['names in two columns', { first_name: ' Ann ', last_name: 'Lee' }, { name: 'Ann Lee' }],
    ['a last name alone', { 'Last Name': 'Lee' }, { name: 'Lee' }],
    ['passwordHash', { passwordHash: '$2b$' }, { passwordHash: '$2b$' }],
    ['encrypted_password', { encrypted_password: '$2b$' }, { passwordHash: '$2b$' }],
    ['hashed_password', { hashed_password: '$2b$' }, { passwordHash: '$2b$' }],
    ['a hash beside an empty one', { password: '$2b$', password_hash: '' }, { passwordHash: '$2b$' }],
    ['two hashes', { password: 'odd', password_hash: '$2b$' }, { passwordHash: '$2b$' }],
    ['NULL', { password: 'NULL' }, { passwordHash: null }],
    ["Django's sign for no password", { password: '!abcdef' }, { passwordHash: null }],
    ['verified: yes', { email_verified: 'TRUE' }, { emailVerifiedAt: now }],
    ['verified: no', { email_verified: 'f' }, { emailVerifiedAt: null }],
    [
      'verified at',
      { email_verified_at: '2020-01-02 03:04:05' },
      { emailVerifiedAt: new Date('2020-01-02T03:04:05Z') },
    ],
    ['a day', { created_at: '2020-02-29' }, { createdAt: new Date('2020-02-29T00:00:00Z') }],
    [
      'a time with a zone',
      { createdAt: '2020-01-02T03:04:05.678+02:00' },
      { createdAt: new Date('2020-01-02T01:04:05.678Z') },
    ],
    [
      'a time of PostgreSQL',
      { date_joined: '2020-01-02 03:04:05.678901+00' },
      { createdAt: new Date('2020-01-02T03:04:05.678Z') },
    ],
    ['seconds', { created: '1577934245' }, { createdAt: new Date('2020-01-02T03:04:05Z') }],
    ['a customer', { role: 'customer', is_staff: 'False', is_superuser: '0' }, { email: 'ann@shop.example' }],
  ])('with %s is taken', (_, values, expected) => {
    expect(read(values)).toMatchObject({ row: 7, ...expected })
  })

  it.each<[Record<string, string>, string, string]>([
    [{ email: '' }, 'email', 'is empty'],
    [{ email: 'nonsense' }, 'email', 'is not an e-mail address'],
    [{ email: 'ann@shop.example\r\nbcc: b@shop.example' }, 'email', 'is not an e-mail address'],
    [{ email: `${'a'.repeat(250)}@shop.example` }, 'email', 'is not an e-mail address'],
    [{ encrypted_password: 'odd' }, 'encrypted_password', 'has a form that is not known'],
    [{ name: 'x'.repeat(101) }, 'name', 'has more than 100 characters'],
    [{ name: 'Ann\u0000Lee' }, 'name', 'has a line end or another control character'],
    [{ name: 'Ann \ud83d' }, 'name', 'has half of a character'],
    [{ 'Email Verified': 'perhaps' }, 'Email Verified', 'is not a time (such as 2024-01-31T12:00:00Z), nor yes or no'],
    [{ created_at: '31/01/2020' }, 'created_at', 'is not a time (such as 2024-01-31T12:00:00Z)'],
    [{ created_at: '2023-02-29' }, 'created_at', 'is not a time (such as 2024-01-31T12:00:00Z)'],
    [{ created_at: '2026-01-02' }, 'created_at', 'is in the future'],
    [{ role: 'admin' }, 'role', 'is more than a customer: staff are made with POST /v1/users'],
    [
      { role: 'customer', is_superuser: 'True' },
      'is_superuser',
      'is more than a customer: staff are made with POST /v1/users',
    ],
  ])('with %o is not taken', (values, column, reason) => {
    expect(read(values)).toEqual({ row: 7, column, reason })
  })
})
