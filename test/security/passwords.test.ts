import { pbkdf2Sync } from 'node:crypto'
import { hash as argon2 } from '@node-rs/argon2'
import { hash as bcrypt } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop({ MAIL_FROM: 'Kettle & Co <mail@kettle.example>' })
  people = peopleOf(shop)
})
afterAll(() => shop.close())

let count = 0
const newEmail = () => `person${++count}@shop.example`

/** A customer, and the hash that is kept of them. */
async function customer() {
  const email = newEmail()
  const { id } = (await people.customer(email)).body.user
  return {
    email,
    hash: async () =>
      (await sqlOf<{ hash: string }>(shop, 'select password_hash as hash from users.users where id = $1', id))[0]
        ?.hash ?? '',
    keep: (hash: string) => sqlOf(shop, 'update users.users set password_hash = $1 where id = $2', hash, id),
  }
}

describe('Password length / content', () => {
  it.each([
    ['password12345678'],
    ['Password12345678!'],
    ['mailcreated5240'],
    ['polniypizdec110211'],
    ['1q2w3e4r5t6y'],
    ['Correct Horse Battery Staple'],
    ['KettleCo2024'],
    ['whistle-person-0'],
    ['ae7!kZü'],
    ['🐴🐴🦄🐴🦓🐴🦌'],
    [''],
  ])('refuses a customer %s', async (password) => {
    const answer = await shop.send('POST', '/v1/auth/register', {
      email: 'whistle.person.0@shop.example',
      name: 'Whistle Person',
      password,
    })
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'users.weak-password', errors: [{ pointer: '/password', detail: expect.any(String) }] },
    })
    if (password.length > 10) expect(answer.text).not.toContain(password)
  })

  it('takes 8, 64 and 128 characters, blanks, emoji, and no kind of character is asked for', async () => {
    const wide = [...'🐴🦄🦓🦌🐎🐈🐕🐇'].map((animal) => `${animal}${'🐴'.repeat(15)}`).join('')
    for (const password of ['onlylowr', '        x', 'qjfm'.repeat(15).concat('vwxz'), wide, `${'Zy'.repeat(63)}!?`]) {
      const email = newEmail()
      expect((await people.register(email, password)).status).toBe(201)
      expect((await people.logIn(email, password)).status).toBe(200)
    }
    expect((await people.register(newEmail(), `${wide}x`)).status).toBe(422)
  })

  it('asks staff for 15 characters', async () => {
    const make = (password: string) =>
      shop.asOwner().then((headers) => {
        const body = { email: newEmail(), name: 'Staff', roles: ['support'], password }
        return shop.send('POST', '/v1/users', body, headers)
      })
    for (const password of ['fourteen chars', 'password12345678'])
      expect(await make(password)).toMatchObject({ status: 422, body: { code: 'users.weak-password' } })
    expect((await make('fifteen chars !')).status).toBe(201)
  })

  it('asks for more where the shop does', async () => {
    const strict = await testShop({ PASSWORD_MIN_LENGTH: '12', STAFF_PASSWORD_MIN_LENGTH: '20' })
    try {
      expect((await peopleOf(strict).register('a@shop.example', 'elevenchars')).status).toBe(422)
      expect((await peopleOf(strict).register('a@shop.example', 'twelve chars')).status).toBe(201)
      const staff = { email: 'b@shop.example', name: 'B', roles: ['support'], password: 'nineteen characters' }
      expect((await strict.send('POST', '/v1/users', staff, await strict.asOwner())).status).toBe(422)
    } finally {
      await strict.close()
    }
  })

  it('tells `Aa…` from `aA…`, and a blank at the end from none', async () => {
    const email = newEmail()
    await people.register(email, 'Aa kettle of fish ')
    for (const other of ['aA kettle of fish ', 'Aa kettle of fish', 'AA KETTLE OF FISH ', ' Aa kettle of fish '])
      expect((await people.logIn(email, other)).status).toBe(401)
    expect((await people.logIn(email, 'Aa kettle of fish ')).status).toBe(200)
  })

  it('counts bytes 73 and later', async () => {
    const [email, start] = [newEmail(), 'kettle and mug '.repeat(5)]
    expect(Buffer.byteLength(start)).toBeGreaterThan(72)
    await people.register(email, `${start}one`)
    expect((await people.logIn(email, `${start}two`)).status).toBe(401)
    expect((await people.logIn(email, start)).status).toBe(401)
    expect((await people.logIn(email, `${start}one`)).status).toBe(200)
  })

  it('never ends by age', async () => {
    const email = newEmail()
    await people.register(email)
    const before = shop.clock.now
    shop.clock.advance(5 * 365 * 24 * 60)
    const session = await people.logIn(email)
    expect(session.status).toBe(200)
    expect((await shop.send('GET', '/v1/users/me', undefined, bearer(session))).status).toBe(200)
    shop.clock.now = before
  })
})

describe('Password storage', () => {
  it('is argon2id with at least 19 MiB, 2 passes and 1 lane, and a salt of its own', async () => {
    const [one, other] = [await customer(), await customer()]
    for (const hash of [await one.hash(), await other.hash()]) {
      const [, m, t, p, salt = '', digest = ''] =
        /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(hash) ?? []
      expect(Number(m)).toBeGreaterThanOrEqual(19_456)
      expect(Number(t)).toBeGreaterThanOrEqual(2)
      expect(Number(p)).toBeGreaterThanOrEqual(1)
      expect(Buffer.from(salt, 'base64').length).toBeGreaterThanOrEqual(16)
      expect(Buffer.from(digest, 'base64').length).toBeGreaterThanOrEqual(32)
      expect(hash).not.toContain(PASSWORD)
    }
    expect((await one.hash()).split('$')[4]).not.toBe((await other.hash()).split('$')[4])
  })

  it.each([
    ['argon2id that is too weak', () => argon2(PASSWORD, { memoryCost: 4096, timeCost: 1 })],
    ['argon2i', () => argon2(PASSWORD, { algorithm: 1 })],
    ['argon2d', () => argon2(PASSWORD, { algorithm: 0 })],
    ['bcrypt', () => bcrypt(PASSWORD, { cost: 5, version: '2y' })],
    [
      'PBKDF2',
      async () => `pbkdf2_sha256$1000$salt$${pbkdf2Sync(PASSWORD, 'salt', 1000, 32, 'sha256').toString('base64')}`,
    ],
  ])('replaces %s at the next login, and only then', async (_, make) => {
    const { email, hash, keep } = await customer()
    const older = await make()
    await keep(older)
    expect((await people.logIn(email, `${PASSWORD}!`)).status).toBe(401)
    expect(await hash()).toBe(older)
    expect((await people.logIn(email)).status).toBe(200)
    expect(await hash()).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect((await people.logIn(email)).status).toBe(200)
  })

  it('lets all of several logins at once in, though one of them replaces the hash', async () => {
    const { email, keep } = await customer()
    await keep(await bcrypt(PASSWORD, { cost: 5 }))
    const answers = await Promise.all(Array.from({ length: 4 }, () => people.logIn(email)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  })

  it('counts bytes 73 and later again once a bcrypt hash is replaced', async () => {
    const { email, keep } = await customer()
    const start = 'kettle and mug '.repeat(5)
    await keep(await bcrypt(start, { cost: 4 }))
    expect((await people.logIn(email, `${start}one`)).status).toBe(200)
    expect((await people.logIn(email, `${start}two`)).status).toBe(401)
    expect((await people.logIn(email, `${start}one`)).status).toBe(200)
  })

  it('knows a password whichever way its characters were composed where the older hash was made', async () => {
    const [composed, decomposed] = ['Kettle 3 f\u00fcr Zo\u00eb', 'Kettle 3 fu\u0308r Zoe\u0308']
    for (const hashed of [composed, decomposed]) {
      const { email, keep } = await customer()
      await keep(await bcrypt(hashed, { cost: 4 }))
      expect((await people.logIn(email, hashed)).status).toBe(200)
      expect((await people.logIn(email, composed)).status).toBe(200)
      expect((await people.logIn(email, decomposed)).status).toBe(200)
    }
  })

  it.each([
    ['!'],
    [''],
    ['5f4dcc3b5aa765d61d8327deb882cf99'],
    ['$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ])('says no for an account whose hash is %j', async (odd) => {
    const { email, keep } = await customer()
    await keep(odd)
    for (const password of [PASSWORD, odd, 'nobody has this password'])
      expect(await people.logIn(email, password)).toMatchObject({
        status: 401,
        body: { code: 'users.wrong-credentials' },
      })
  })

  it('takes as long for an unknown address where all the hashes came from a slower system', async () => {
    const slow = await testShop()
    const there = peopleOf(slow)
    try {
      for (let i = 0; i < 20; i++) await there.register(`known${i}@shop.example`)
      await sqlOf(slow, 'update users.users set password_hash = $1', await bcrypt(PASSWORD, { cost: 10 }))
      const millisecondsOf = async (email: string) => {
        const began = performance.now()
        expect((await there.logIn(email, 'wrong password')).status).toBe(401)
        return performance.now() - began
      }
      const [known, unknown]: [number[], number[]] = [[], []]
      for (let i = 0; i < 9; i++) {
        known.push(await millisecondsOf(`known${i}@shop.example`))
        unknown.push(await millisecondsOf(`unknown${i}@shop.example`))
      }
      const median = (times: number[]) => times.sort((a, b) => a - b)[4] as number
      const ratio = median(known) / median(unknown)
      expect(ratio).toBeGreaterThan(0.5)
      expect(ratio).toBeLessThan(2)
    } finally {
      await slow.close()
    }
  })
})
