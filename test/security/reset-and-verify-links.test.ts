import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADDRESS } from '../contexts/orders/buying.ts'
import { factorsOf } from '../contexts/users/factors.ts'
import { bearer, PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

/** ASVS 6.4.1, 6.5.1, 11.5.1: what a link of a mail is good for, and when it is no longer. */
let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop({ STOREFRONT_URL: 'https://shop.example', PUBLIC_URL: 'https://api.shop.example' })
  people = peopleOf(shop)
})
afterAll(() => shop.close())

const NEW_PASSWORD = 'another horse of that colour'
const post = (url: string, body: object, headers = {}) => shop.send('POST', url, body, headers)

/** The newest mail to an address. */
async function mailTo(email: string): Promise<{ text: string; html: string }> {
  await shop.app.settle()
  await shop.app.runJobs()
  const { body } = await shop.send('GET', '/dev/mailbox.json')
  return body.find(({ to }: { to: string }) => to === email)
}
const resetLink = async (email: string, headers = {}) => {
  await post('/v1/auth/forgot-password', { email }, headers)
  return /(\S+)#token=([\w-]+)/.exec((await mailTo(email)).text) as unknown as [string, string, string]
}
const reset = (token: string, password = NEW_PASSWORD) => post('/v1/auth/reset-password', { token, password })
const invalid = { status: 400, body: { code: 'users.invalid-link' } }

describe('Reset / verify tokens', () => {
  test('256 random bits, hashed at rest, in no event, job or receipt', async () => {
    await people.register('bits@shop.example')
    const [, , token] = await resetLink('bits@shop.example')
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    const kept = await sqlOf<{ whole: string }>(
      shop,
      `select t::text as whole from users.links t union all select t::text from platform.events t
       union all select t::text from graphile_worker._private_jobs t union all select t::text from platform.receipts t`,
    )
    const all = kept.map(({ whole }) => whole).join('\n')
    for (const form of [token, Buffer.from(token, 'base64url').toString('hex'), Buffer.from(token).toString('hex')])
      expect(all).not.toContain(form)
  })

  test('reuse → 400; so is a link of another purpose, a changed one and none', async () => {
    await people.register('reuse@shop.example')
    const verify = /#token=([\w-]+)/.exec((await mailTo('reuse@shop.example')).text)?.[1] ?? ''
    expect(await reset(verify)).toMatchObject(invalid)
    const [, , token] = await resetLink('reuse@shop.example')
    for (const url of ['verify-email', 'change-email'])
      expect(await post(`/v1/auth/${url}`, { token })).toMatchObject(invalid)
    expect(await reset(`${token.slice(0, -2)}AA`)).toMatchObject(invalid)
    expect(await reset('x')).toMatchObject(invalid)
    expect((await reset(token)).status).toBe(204)
    expect(await reset(token)).toMatchObject(invalid)
    expect((await people.logIn('reuse@shop.example', NEW_PASSWORD)).status).toBe(200)
  })

  test('links end: a reset link after 30 minutes, one that verifies after 60', async () => {
    const before = shop.clock.now
    await people.register('late@shop.example')
    const verify = /#token=([\w-]+)/.exec((await mailTo('late@shop.example')).text)?.[1] ?? ''
    const [, , token] = await resetLink('late@shop.example')
    shop.clock.advance(30)
    expect(await reset(token)).toMatchObject(invalid)
    shop.clock.advance(30)
    expect(await post('/v1/auth/verify-email', { token: verify })).toMatchObject(invalid)
    const bounds = await sqlOf<{ minutes: number }>(
      shop,
      'select max(extract(epoch from expires_at - created_at) / 60)::int as minutes from users.links',
    )
    expect(bounds).toEqual([{ minutes: 60 }])
    shop.clock.now = before
  })

  test('bound to the user, the purpose and the present password: a new password voids what was sent before', async () => {
    const session = await people.customer('bound@shop.example')
    const [, , token] = await resetLink('bound@shop.example')
    const body = { currentPassword: PASSWORD, password: NEW_PASSWORD }
    expect((await post('/v1/users/me/password', body, bearer(session))).status).toBe(204)
    expect(await reset(token, 'a third horse entirely')).toMatchObject(invalid)
    expect((await people.logIn('bound@shop.example', NEW_PASSWORD)).status).toBe(200)
  })

  const kept = (id: string) =>
    sqlOf<{ factors: number; codes: number; addresses: number }>(
      shop,
      `select (select count(*)::int from users.second_factors where user_id = $1) as factors,
         (select count(*)::int from users.recovery_codes where user_id = $1 and used_at is null) as codes,
         (select count(*)::int from users.addresses where user_id = $1) as addresses`,
      id,
    )
  /** Somebody who has a second factor and an address in the book. */
  async function settled(email: string) {
    const session = await people.customer(email)
    await factorsOf(shop).enrol(session)
    expect((await post('/v1/users/me/addresses', ADDRESS, bearer(session))).status).toBe(201)
    return session
  }

  test('a reset takes from a stranger what they put into an account of an address that is not theirs', async () => {
    const stranger = await settled('victim@shop.example')
    const id = stranger.body.user.id
    expect(await kept(id)).toEqual([{ factors: 1, codes: 10, addresses: 1 }])
    const [, , token] = await resetLink('victim@shop.example')
    expect((await reset(token)).status).toBe(204)
    expect(await kept(id)).toEqual([{ factors: 0, codes: 0, addresses: 0 }])
    expect((await people.logIn('victim@shop.example', NEW_PASSWORD)).status).toBe(200)
    expect((await people.me(stranger)).status).toBe(401)
  })

  test.each([
    ['whose address was verified', 'email_verified_at = now()', 'proved@shop.example'],
    ['of staff', `roles = '{customer,support}'`, 'staffed@shop.example'],
  ])('a reset leaves the second factor and the addresses of an account %s', async (_, change, email) => {
    const { body } = await settled(email)
    await sqlOf(shop, `update users.users set ${change} where id = $1`, body.user.id)
    const [, , token] = await resetLink(email)
    expect((await reset(token, 'a third horse entirely')).status).toBe(204)
    expect(await kept(body.user.id)).toEqual([{ factors: 1, codes: 10, addresses: 1 }])
  })

  test('a link alone verifies nothing: whoever knows neither the password nor a session of that account is told so', async () => {
    const { id } = (await people.customer('alone@shop.example')).body.user
    const token = /#token=([\w-]+)/.exec((await mailTo('alone@shop.example')).text)?.[1] ?? ''
    const verify = (more = {}, headers = {}) => post('/v1/auth/verify-email', { token, ...more }, headers)
    const wrong = { status: 401, body: { code: 'users.wrong-credentials' } }
    const other = await people.customer('bystander@shop.example')
    expect(await verify()).toMatchObject(wrong)
    expect(await verify({}, bearer(other))).toMatchObject(wrong)
    expect(await verify({ password: NEW_PASSWORD })).toMatchObject(wrong)
    const failures = await sqlOf<{ failures: number }>(
      shop,
      `select failures from users.failed_logins where key =
         (select email_index from users.users where id = $1)`,
      id,
    )
    expect(failures).toEqual([{ failures: 1 }])
    expect((await people.logIn('alone@shop.example')).body.user.emailVerified).toBe(false)
    expect((await verify({ password: PASSWORD })).status).toBe(204)
    expect((await people.logIn('alone@shop.example')).body.user.emailVerified).toBe(true)
  })

  test('a disabled account gets no link, and its link is none', async () => {
    const session = await people.customer('disabled@shop.example')
    const [, , token] = await resetLink('disabled@shop.example')
    await sqlOf(shop, 'update users.users set disabled_at = now() where id = $1', session.body.user.id)
    expect(await reset(token)).toMatchObject(invalid)
  })

  test('Host header poisoning: the link’s host is the configured one', async () => {
    await people.register('host@shop.example')
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }
    const [, address] = await resetLink('host@shop.example', headers)
    expect(address).toBe('https://shop.example/reset-password')
    const { text, html } = await mailTo('host@shop.example')
    expect(text + html).not.toContain('evil.example')
  })
})

describe('Change needs current; re-auth', () => {
  test('password and e-mail: without a recent login 403, with a wrong current password 401', async () => {
    const before = shop.clock.now
    const session = await people.customer('recent@shop.example')
    shop.clock.advance(9)
    const wrong = { currentPassword: 'a wrong one entirely', password: NEW_PASSWORD }
    expect(await post('/v1/users/me/password', wrong, bearer(session))).toMatchObject({
      status: 401,
      body: { code: 'users.wrong-credentials' },
    })
    shop.clock.advance(1.1)
    const { body } = await people.refresh(session.body.refreshToken)
    const later = { authorization: `Bearer ${body.accessToken}` }
    const needed = { status: 403, body: { code: 'users.reauthentication-required' } }
    const right = { currentPassword: PASSWORD, password: NEW_PASSWORD }
    expect(await post('/v1/users/me/password', right, later)).toMatchObject(needed)
    expect(await post('/v1/users/me/email', { email: 'else@shop.example' }, later)).toMatchObject(needed)
    expect(await shop.send('DELETE', '/v1/users/me', undefined, later)).toMatchObject(needed)
    expect((await post('/v1/auth/reauthentication', { password: PASSWORD }, later)).status).toBe(204)
    expect((await post('/v1/users/me/password', right, later)).status).toBe(204)
    shop.clock.now = before
  })
})
