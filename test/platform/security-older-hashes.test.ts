import { describe, expect, it } from 'vitest'
import { readHash } from '#platform/security/older-hashes.ts'
import { makePasswords, NO_PASSWORD } from '#platform/security/passwords.ts'

/** Made by others: the argon2 reference code, crypt_blowfish, Django, passlib, Werkzeug and Python's hashlib. */
const MADE_ELSEWHERE: [string, string, string][] = [
  ['argon2i', 'password', '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA'],
  ['argon2i', 'password', '$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ'],
  ['argon2id', 'password', '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'],
  [
    'argon2id',
    'password',
    'argon2$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  ],
  ['bcrypt', 'U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['bcrypt', 'U*U', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['bcrypt', 'U*U', '$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['bcrypt', 'U*U', 'bcrypt$$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['pbkdf2', 'password', 'pbkdf2_sha256$10000$seasalt$p2Nf8SH5q1HFJUvFvVd4Nj71pVA5fI7cpL2WDbb86bc='],
  ['pbkdf2', 'password', '$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44'],
  ['pbkdf2', 'password', '$pbkdf2-sha256$i=1000$c2FsdHkgc2FsdCAxNmIh$3Hsy9reuHjXRuoa6Cgg/N6ArzIE1elN6FCrRXNDy/vo'],
  [
    'pbkdf2',
    'password',
    '$pbkdf2-sha512$1000$c2FsdHkgc2FsdCAxNmIh$8dc4BEZi.NDVWVn4ONW.h.1WBZBsqudd3ARlfyQ.I/RgvR7xtgzDrnR.4XCEbXnQvV8ar60ub8j0PQJqs3ifbA',
  ],
  ['pbkdf2', 'password', '$pbkdf2$1000$c2FsdHkgc2FsdCAxNmIh$EN7YR05HZA05Zv4DBS0qT.EvNNM'],
  [
    'pbkdf2',
    'password',
    'pbkdf2:sha256:1000$mUlodqlBSsQ3A1ru$26221267e8176900fdc81b6f26cac896c448edc31fb3f30dac216bccfe6efd6e',
  ],
]

const ARGON2 = 'c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
const BCRYPT = 'CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
const PBKDF2 = 'seasalt$p2Nf8SH5q1HFJUvFvVd4Nj71pVA5fI7cpL2WDbb86bc='

describe('hashes of other systems', () => {
  it.each(MADE_ELSEWHERE)('%s of %s: %s', (form, password, hash) => {
    const read = readHash(hash)
    if ('problem' in read) throw new Error(read.problem)
    expect(read.form).toBe(form)
    expect(read.isRight(password)).toBe(true)
    expect(read.isRight(`${password}x`)).toBe(false)
    expect(makePasswords({ tooBusy: () => new Error() }).needsRehash(hash)).toBe(!hash.startsWith('$argon2id'))
  })

  it.each([
    ['a cost above 14', `$2b$15$${BCRYPT}`],
    ['a cost above 14', `$2b$31$${BCRYPT}`],
    ['more than 2000000 iterations', `pbkdf2_sha256$2000001$${PBKDF2}`],
    ['more than 2000000 iterations', `pbkdf2_sha256$${'9'.repeat(200)}$${PBKDF2}`],
    ['more than 256 MiB', `$argon2id$v=19$m=262145,t=1,p=1$${ARGON2}`],
    ['too many passes', `$argon2i$v=19$m=262144,t=5,p=1$${ARGON2}`],
    ['longer than 512 characters', `pbkdf2_sha256$1$${'s'.repeat(600)}$x`],
  ])('that ask for %s are not taken: %s', (why, hash) => {
    expect(readHash(hash)).toEqual({ problem: expect.stringContaining(why) })
  })

  it.each([
    [''],
    [NO_PASSWORD],
    ['hunter2'],
    ['5f4dcc3b5aa765d61d8327deb882cf99'],
    ['$1$abcdefgh$G//4keteveJp0qb8z2DxG/'],
    ['$P$B55D6LjfHDkINU5wF.v2BuuzO0/XPk/'],
    ['$argon2id$'],
    [`$argon2id$v=19$m=7,t=1,p=1$${ARGON2}`],
    [`$argon2id$v=19$m=4096,t=0,p=1$${ARGON2}`],
    [`$argon2id$v=19$m=99999999999,t=1,p=1$${ARGON2}`],
    [`$argon2id$v=19$m=65536,t=2,p=1,data=abc$${ARGON2}`],
    [`$2x$05$${BCRYPT}`],
    [`$2b$03$${BCRYPT}`],
    [`$2b$05$${BCRYPT.slice(1)}`],
    [`pbkdf2_sha256$0$${PBKDF2}`],
    [`pbkdf2_md5$1000$${PBKDF2}`],
    ['pbkdf2_sha256$1000$seasalt$AAAA'],
  ])('of an unknown form say no, without a word: %s', async (hash) => {
    expect(readHash(hash)).toEqual({ problem: 'has a form that is not known' })
    const passwords = makePasswords({ tooBusy: () => new Error() })
    for (const password of ['', hash, 'nobody has this password'])
      expect(await passwords.isRight(password, hash)).toBe(false)
  })
})
