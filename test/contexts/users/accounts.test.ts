import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { bearer, PASSWORD, peopleOf } from './people.ts'

/** Proving an e-mail address, and changing it or the password, with the mails that belong to it. */
let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  shop = await testShop()
  people = peopleOf(shop)
})
afterAll(() => shop.close())

type Received = { to: string; subject: string; text: string; html: string }
const NEW_PASSWORD = 'another horse of that colour'

/** The mails to an address, the newest first, once all that is due has run. */
const mailsTo = async (address: string): Promise<Received[]> => {
  await shop.app.settle()
  await shop.app.runJobs()
  const { body } = await shop.send('GET', '/dev/mailbox.json')
  return body.filter(({ to }: Received) => to === address)
}
const tokenIn = ({ text }: Received): string => /#token=([\w-]+)/.exec(text)?.[1] ?? ''
const linkFor = async (address: string, subject: RegExp): Promise<string> => {
  const mail = (await mailsTo(address)).find((one) => subject.test(one.subject))
  expect(mail, `a mail about ${subject} to ${address}`).toBeDefined()
  return tokenIn(mail as Received)
}
const post = (url: string, body: object, headers = {}) => shop.send('POST', url, body, headers)
const invalid = { status: 400, body: { code: 'users.invalid-link' } }

describe('verifying an address', () => {
  it('takes the link of the mail, once, and says so in the account', async () => {
    const session = await people.customer('verify@shop.example')
    expect(session.body.user.emailVerified).toBe(false)
    const token = await linkFor('verify@shop.example', /^Confirm your e-mail/)
    expect(await post('/v1/auth/verify-email', { token }, bearer(session))).toMatchObject({ status: 204 })
    expect(await post('/v1/auth/verify-email', { token }, bearer(session))).toMatchObject(invalid)
    expect((await people.me(session)).body.emailVerified).toBe(true)
  })

  it('sends another link when asked, which voids the one before, and none when there is nothing to verify', async () => {
    const email = 'resend@shop.example'
    await people.register(email)
    const first = await linkFor(email, /^Confirm/)
    expect(await post('/v1/auth/resend-verification', { email })).toMatchObject({ status: 202, body: { email } })
    const second = await linkFor(email, /^Confirm/)
    expect(second).not.toBe(first)
    expect(await post('/v1/auth/verify-email', { token: first })).toMatchObject(invalid)
    expect((await post('/v1/auth/verify-email', { token: second, password: PASSWORD })).status).toBe(204)
    expect((await post('/v1/auth/resend-verification', { email })).status).toBe(202)
    expect(await mailsTo(email)).toHaveLength(2)
  })

  it('writes in the language that was chosen', async () => {
    const registration = { email: 'jo@shop.example', password: PASSWORD, name: 'Jo', locale: 'de' }
    expect((await post('/v1/auth/register', registration)).status).toBe(201)
    const [mail] = await mailsTo('jo@shop.example')
    expect(mail?.subject).toMatch(/^Bestätigen Sie Ihre E-Mail-Adresse/)
    expect(mail?.html).toContain('<html lang="de">')
    expect((await post('/v1/auth/register', { ...registration, locale: 'xx' })).status).toBe(422)
  })

  it('tells the holder when somebody registers their address again, and nobody else', async () => {
    const email = 'again@shop.example'
    await people.register(email)
    expect(await people.register(email, NEW_PASSWORD)).toMatchObject({ status: 201, body: { email } })
    const mails = await mailsTo(email)
    expect(mails.map(({ subject }) => subject)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^You have an account/)]),
    )
    expect((await people.logIn(email, NEW_PASSWORD)).status).toBe(401)
  })
})

describe('a forgotten password', () => {
  it('is replaced by the link of the mail, once; every session ends, and the holder is told', async () => {
    const email = 'forgot@shop.example'
    const session = await people.customer(email)
    expect(await post('/v1/auth/forgot-password', { email })).toMatchObject({ status: 202, body: { email } })
    const token = await linkFor(email, /^Set a new password/)
    expect(await post('/v1/auth/reset-password', { token, password: 'short' })).toMatchObject({
      status: 422,
      body: { code: 'users.weak-password' },
    })
    expect((await post('/v1/auth/reset-password', { token, password: NEW_PASSWORD })).status).toBe(204)
    expect(await post('/v1/auth/reset-password', { token, password: NEW_PASSWORD })).toMatchObject(invalid)
    expect((await people.me(session)).status).toBe(401)
    expect((await people.refresh(session.body.refreshToken)).status).toBe(401)
    expect((await people.logIn(email)).status).toBe(401)
    expect((await people.logIn(email, NEW_PASSWORD)).body.user.emailVerified).toBe(true)
    expect((await mailsTo(email))[0]?.subject).toMatch(/was changed$/)
  })

  it('of two who show one link at once, one sets the password', async () => {
    const email = 'race@shop.example'
    await people.customer(email)
    await post('/v1/auth/forgot-password', { email })
    const token = await linkFor(email, /^Set a new password/)
    const passwords = Array.from({ length: 8 }, (_, i) => `${NEW_PASSWORD} ${i}`)
    const answers = await Promise.all(passwords.map((password) => post('/v1/auth/reset-password', { token, password })))
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(7)
    const winner = answers.findIndex(({ status }) => status === 204)
    expect((await people.logIn(email, passwords[winner])).status).toBe(200)
  })

  it('needs the longer one of staff', async () => {
    const owner = await people.createOwner()
    const boss = await people.logIn(owner!.email, owner!.password)
    await people.staff(boss, 'clerk@shop.example', ['support'])
    await post('/v1/auth/forgot-password', { email: 'clerk@shop.example' })
    const token = await linkFor('clerk@shop.example', /^Set a new password/)
    expect((await post('/v1/auth/reset-password', { token, password: 'a horse of it' })).status).toBe(422)
    expect((await post('/v1/auth/reset-password', { token, password: NEW_PASSWORD })).status).toBe(204)
  })
})

describe('changing the password', () => {
  const change = (session: Sent, currentPassword: string, password: string) =>
    post('/v1/users/me/password', { currentPassword, password }, bearer(session))

  it('needs the current one, ends the other sessions and keeps this one', async () => {
    const email = 'change@shop.example'
    const [mine, other] = [await people.customer(email), await people.logIn(email)]
    expect(await change(mine, 'not my password', NEW_PASSWORD)).toMatchObject({
      status: 401,
      body: { code: 'users.wrong-credentials' },
    })
    expect((await change(mine, PASSWORD, '12345678')).status).toBe(422)
    expect((await change(mine, PASSWORD, NEW_PASSWORD)).status).toBe(204)
    expect((await people.me(mine)).status).toBe(200)
    expect((await people.me(other)).status).toBe(401)
    expect((await people.logIn(email)).status).toBe(401)
    expect((await people.logIn(email, NEW_PASSWORD)).status).toBe(200)
    expect((await mailsTo(email))[0]?.subject).toMatch(/was changed$/)
  })
})

describe('changing the e-mail', () => {
  const ask = (session: Sent, email: string) => post('/v1/users/me/email', { email }, bearer(session))

  it('takes effect by the link to the new address; the old one is told', async () => {
    const session = await people.customer('old@shop.example')
    expect(await ask(session, 'new@shop.example')).toMatchObject({ status: 202, body: { email: 'new@shop.example' } })
    const token = await linkFor('new@shop.example', /^Confirm your new/)
    expect((await mailsTo('old@shop.example'))[0]?.subject).toMatch(/^A new e-mail address/)
    expect((await people.me(session)).body.email).toBe('old@shop.example')
    expect((await post('/v1/auth/change-email', { token })).status).toBe(204)
    expect(await post('/v1/auth/change-email', { token })).toMatchObject(invalid)
    expect((await people.me(session)).body).toMatchObject({ email: 'new@shop.example', emailVerified: true })
    expect((await people.logIn('old@shop.example')).status).toBe(401)
    expect((await people.logIn('new@shop.example')).status).toBe(200)
  })

  it('says the same for an address that is taken, whose holder is told; a new password voids the request', async () => {
    const session = await people.customer('mover@shop.example')
    await people.customer('taken@shop.example')
    expect(await ask(session, 'taken@shop.example')).toMatchObject({ status: 202 })
    expect((await mailsTo('taken@shop.example'))[0]?.subject).toMatch(/^This address is in use/)
    await ask(session, 'void@shop.example')
    const token = await linkFor('void@shop.example', /^Confirm your new/)
    const wanted = { currentPassword: PASSWORD, password: NEW_PASSWORD }
    expect((await post('/v1/users/me/password', wanted, bearer(session))).status).toBe(204)
    expect(await post('/v1/auth/change-email', { token })).toMatchObject(invalid)
  })
})

it('serves the pages that links lead to, whose script is the only one that may run', async () => {
  for (const url of ['/verify-email', '/reset-password', '/change-email']) {
    const { status, text, headers } = await shop.send('GET', url)
    expect(status).toBe(200)
    expect(text).toContain('<form')
    expect(headers['content-security-policy']).toMatch(/script-src 'sha256-[^']+'; connect-src 'self'/)
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(headers['referrer-policy']).toBe('no-referrer')
  }
})
