import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { PASSWORD, peopleOf } from './people.ts'
import { sqlOf } from './sql.ts'

let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
})
afterAll(() => shop.close())

describe('registering and logging in', () => {
  it('makes an account that can log in and see itself', async () => {
    const made = await people.register('ann@shop.example')
    expect(made).toMatchObject({ status: 201, body: { email: 'ann@shop.example' } })
    const session = await people.logIn('Ann@Shop.EXAMPLE')
    expect(session.status).toBe(200)
    expect(session.body).toEqual({
      accessToken: expect.stringMatching(/^ey[\w-]+\.[\w-]+\.[\w-]+$/),
      refreshToken: expect.stringMatching(/^[\w-]{43}$/),
      expiresIn: 600,
      deviceToken: expect.stringMatching(/^[\w-]{22}\.\d{10}\.[\w-]{43}$/),
      user: {
        id: expect.stringMatching(/^usr_/),
        email: 'ann@shop.example',
        emailVerified: false,
        locale: 'en',
        name: 'Ann Lee',
        roles: ['customer'],
        disabled: false,
        createdAt: shop.clock.now.toISOString(),
      },
    })
    expect(session.headers['cache-control']).toBe('no-store')
    expect((await people.me(session)).body).toEqual(session.body.user)
  })

  it('answers the same for an address that has an account, changes nothing and says so to its holder', async () => {
    await people.register('twice@shop.example')
    const [known, unknown] = [
      await people.register('TWICE@shop.example', 'another password', 'Eve'),
      await people.register('fresh@shop.example'),
    ]
    expect(known.status).toBe(unknown.status)
    expect(Object.keys(known.headers).sort()).toEqual(Object.keys(unknown.headers).sort())
    expect(known.headers.location).toBe(unknown.headers.location)
    expect(known.body).toEqual({ email: 'TWICE@shop.example' })
    expect(unknown.body).toEqual({ email: 'fresh@shop.example' })
    expect((await people.logIn('twice@shop.example', 'another password')).status).toBe(401)
    expect((await people.logIn('twice@shop.example')).body.user.name).toBe('Ann Lee')
    const events = await sqlOf(shop, `select subject from platform.events where type = 'users.registered-again.v1'`)
    expect(events).toEqual([{ subject: (await people.logIn('twice@shop.example')).body.user.id }])
  })

  it('makes one account of twenty registrations at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => people.register('storm@shop.example')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
    const session = await people.logIn('storm@shop.example')
    const events = await sqlOf(
      shop,
      `select type from platform.events where subject = $1 and type = 'users.registered.v1'`,
      session.body.user.id,
    )
    expect(events).toHaveLength(1)
  })

  it('says the same of a wrong password and an unknown address', async () => {
    await people.register('known@shop.example')
    const [wrong, unknown] = [
      await people.logIn('known@shop.example', 'wrong'),
      await people.logIn('nobody@shop.example', 'wrong'),
    ]
    for (const answer of [wrong, unknown])
      expect(answer).toMatchObject({ status: 401, body: { code: 'users.wrong-credentials' } })
    const same = ({ body }: Sent) => ({ ...body, instance: '' })
    expect(same(wrong)).toEqual(same(unknown))
    expect(Object.keys(wrong.headers).sort()).toEqual(Object.keys(unknown.headers).sort())
  })

  it('takes as long for a known address as for an unknown one', async () => {
    await people.register('timed@shop.example')
    for (const attempt of [
      (email: string) => people.logIn(email, 'wrong password'),
      (email: string) => people.register(email),
    ]) {
      const millisecondsOf = async (email: string) => {
        const began = performance.now()
        await attempt(email)
        return performance.now() - began
      }
      const known: number[] = []
      const unknown: number[] = []
      for (let i = 0; i < 25; i++) {
        known.push(await millisecondsOf('timed@shop.example'))
        unknown.push(await millisecondsOf(`untimed${i}@shop.example`))
      }
      // The fastest of each, as a busy machine only ever adds; with a hash left out one is a fifth of the other.
      const ratio = Math.min(...known) / Math.min(...unknown)
      expect(ratio).toBeGreaterThan(0.5)
      expect(ratio).toBeLessThan(2)
    }
  })

  it.each([
    ['shorter than 8 characters', { password: 'ae7!kZü' }, 422, 'users.weak-password'],
    ['seven characters of four bytes', { password: '🐴🐴🦄🐴🦓🐴🦌' }, 422, 'users.weak-password'],
    ['well known', { password: 'Password12345678' }, 422, 'users.weak-password'],
    ['longer than 128 characters', { password: 'x7'.repeat(65) }, 422, 'platform.invalid'],
    ['no e-mail', { email: 'nonsense' }, 422, 'platform.invalid'],
    ['an e-mail with a line end', { email: 'a@shop.example\r\nbcc: b@shop.example' }, 422, 'platform.invalid'],
    ['a name with a line end', { name: 'Ann\r\nBcc: b@shop.example' }, 422, 'platform.invalid'],
    ['a name with NUL', { name: 'Ann\u0000' }, 422, 'platform.invalid'],
    ['an empty name', { name: '' }, 422, 'platform.invalid'],
    ['a role', { roles: ['owner'] }, 400, 'platform.malformed'],
    ['a password that is a number', { password: 12_345_678 }, 400, 'platform.malformed'],
    ['no password', { password: undefined }, 400, 'platform.malformed'],
  ])('refuses %s', async (_, change, status, code) => {
    const body = { email: 'new@shop.example', password: PASSWORD, name: 'New', ...change }
    const answer = await shop.send('POST', '/v1/auth/register', body)
    expect(answer).toMatchObject({ status, body: { code } })
    expect(answer.text).not.toContain(PASSWORD)
  })

  it('takes blanks, emoji and 128 characters as they are', async () => {
    for (const [index, password] of [' eight ch', '🐴🦄🦓🦌🐎🐈🐕🐇', `${'Zy'.repeat(63)}!?`].entries()) {
      const email = `odd${index}@shop.example`
      expect((await people.register(email, password)).status).toBe(201)
      expect((await people.logIn(email, password)).status).toBe(200)
      const characters = [...password]
      const others = [characters.slice(1), characters.slice(0, -1), ['z', ...characters.slice(1)]].map((some) =>
        some.join(''),
      )
      for (const other of others) {
        expect((await people.logIn(email, other)).status).toBe(401)
      }
    }
  })

  it('keeps nothing about a person in the clear', async () => {
    await people.register('secretive@shop.example', PASSWORD, 'Canary Name')
    const rows = await sqlOf<{ text: string }>(
      shop,
      `select u::text as text from users.users u union all select e::text from platform.events e`,
    )
    const dump = rows.map(({ text }) => text).join('\n')
    for (const canary of ['secretive', 'Canary', PASSWORD]) {
      expect(dump).not.toContain(canary)
      expect(dump).not.toContain(Buffer.from(canary).toString('hex'))
    }
    expect(dump).toContain('$argon2id$v=19$m=19456,t=2,p=1$')
  })

  it('replaces a hash that is weaker than today at the next login', async () => {
    const { hash } = await import('@node-rs/argon2')
    const { body } = await people.customer('weakhash@shop.example')
    const weak = await hash(PASSWORD, { memoryCost: 4096, timeCost: 1 })
    await sqlOf(shop, `update users.users set password_hash = $1 where id = $2`, weak, body.user.id)
    expect((await people.logIn('weakhash@shop.example')).status).toBe(200)
    const [row] = await sqlOf<{ password_hash: string }>(
      shop,
      `select password_hash from users.users where id = $1`,
      body.user.id,
    )
    expect(row?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect((await people.logIn('weakhash@shop.example')).status).toBe(200)
  })
})
