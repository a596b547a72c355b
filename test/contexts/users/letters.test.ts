import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { type Message, openSmtp, type Smtp } from '../../kit/smtp.ts'
import { bearer, PASSWORD, peopleOf } from './people.ts'
import { sqlOf } from './sql.ts'

/** Letters about accounts when mail is late, refused or sent twice: what arrived last is what works. */
let smtp: Smtp
let shop: TestShop
let people: ReturnType<typeof peopleOf>
beforeAll(async () => {
  smtp = await openSmtp({ user: 'stoa', pass: 'secret' })
  shop = await testShop({ SMTP_URL: smtp.url })
  people = peopleOf(shop)
})
afterAll(async () => {
  await shop?.close()
  await smtp.close()
})
beforeEach(() => smtp.refused.clear())

const NEW_PASSWORD = 'another horse of that colour'
const invalid = { status: 400, body: { code: 'users.invalid-link' } }
const post = (url: string, body: object, headers = {}) => shop.send('POST', url, body, headers)
const askFor = (session: Sent, email: string) => post('/v1/users/me/email', { email }, bearer(session))
const changeEmail = (token: string) => post('/v1/auth/change-email', { token })

/** Runs every job that waits, also those that wait for their next try. */
async function runJobs(): Promise<void> {
  await shop.app.settle()
  await sqlOf(shop, 'update graphile_worker._private_jobs set run_at = now() where attempts < max_attempts')
  await shop.app.runJobs()
}
const mailsTo = (email: string): Message[] => smtp.received.filter(({ recipients }) => recipients.includes(email))
const tokensTo = (email: string): string[] =>
  mailsTo(email).flatMap(({ text }) => /#token=([\w-]+)/.exec(text)?.[1] ?? [])
const lastTo = (email: string): string => tokensTo(email).at(-1) ?? 'none'
/** A customer whose first letter has arrived. */
async function customer(email: string): Promise<Sent> {
  const session = await people.customer(email)
  await runJobs()
  return session
}

describe('a wish for another address', () => {
  it('is not undone by a notice that the old mailbox refuses, however often that is tried', async () => {
    const session = await customer('lost@shop.example')
    smtp.refused.set('lost@shop.example', 550)
    await askFor(session, 'found@shop.example')
    await runJobs()
    await runJobs()
    expect(mailsTo('found@shop.example')).toHaveLength(1)
    expect((await changeEmail(lastTo('found@shop.example'))).status).toBe(204)
  })

  it('gives way to the next one, also when neither letter was written yet', async () => {
    const session = await customer('typist@shop.example')
    await askFor(session, 'tyop@shop.example')
    await askFor(session, 'typo@shop.example')
    await runJobs()
    expect(mailsTo('tyop@shop.example')).toHaveLength(0)
    expect((await changeEmail(lastTo('typo@shop.example'))).status).toBe(204)
  })

  it('voids the link of the one before at once', async () => {
    const session = await customer('twice@shop.example')
    await askFor(session, 'first@shop.example')
    await runJobs()
    await askFor(session, 'second@shop.example')
    expect(await changeEmail(lastTo('first@shop.example'))).toMatchObject(invalid)
  })

  it('is void after a new password, also when its letter was late', async () => {
    const session = await customer('victim@shop.example')
    smtp.refused.set('thief@shop.example', 451)
    await askFor(session, 'thief@shop.example')
    await runJobs()
    const wanted = { currentPassword: PASSWORD, password: NEW_PASSWORD }
    expect((await post('/v1/users/me/password', wanted, bearer(session))).status).toBe(204)
    smtp.refused.clear()
    await runJobs()
    expect(await changeEmail(lastTo('thief@shop.example'))).toMatchObject(invalid)
    expect(mailsTo('thief@shop.example')).toHaveLength(0)
  })

  it('once it came true is told to the address that it was before', async () => {
    const session = await customer('before@shop.example')
    await askFor(session, 'after@shop.example')
    await runJobs()
    expect((await changeEmail(lastTo('after@shop.example'))).status).toBe(204)
    await runJobs()
    const told = mailsTo('before@shop.example').map(({ headers }) => headers.subject)
    expect(told.filter((subject) => /^The e-mail address of your account .* was changed$/.test(subject!))).toHaveLength(
      1,
    )
    expect(mailsTo('before@shop.example').at(-1)?.text).not.toContain('after@shop.example')
    const events = await sqlOf<{ data: object }>(
      shop,
      `select data from platform.events where type like 'users.email-change%'`,
    )
    expect(JSON.stringify(events)).not.toContain('@')
  })
})

describe('a letter', () => {
  it('greets by name only at an address that is proved: nobody makes us write their words to a stranger', async () => {
    const name = 'you won, call 555 0100'
    await people.register('stranger@shop.example', PASSWORD, name)
    await post('/v1/auth/forgot-password', { email: 'stranger@shop.example' })
    await runJobs()
    expect(mailsTo('stranger@shop.example')).toHaveLength(2)
    const said = () => mailsTo('stranger@shop.example').map(({ text, html }) => text + html)
    expect(said().join('')).not.toContain('555')
    const token = lastTo('stranger@shop.example')
    expect((await post('/v1/auth/reset-password', { token, password: NEW_PASSWORD })).status).toBe(204)
    await runJobs()
    expect(said().at(-1)).toContain(`Hello ${name}`)
    await askFor(await people.logIn('stranger@shop.example', NEW_PASSWORD), 'other@shop.example')
    await runJobs()
    expect(mailsTo('other@shop.example').map(({ text }) => text.includes('555'))).toEqual([false])
  })
})

describe('a letter with a link', () => {
  it('that is written a second time, as after a crash, brings a link that works', async () => {
    await customer('again@shop.example')
    await post('/v1/auth/forgot-password', { email: 'again@shop.example' })
    await shop.app.settle()
    const [job] = await sqlOf<{ payload: string }>(shop, 'select payload::text from graphile_worker._private_jobs')
    await shop.app.runJobs()
    await sqlOf(shop, `select from graphile_worker.add_job('users.send-letter', $1::json)`, job?.payload)
    await shop.app.runJobs()
    const token = lastTo('again@shop.example')
    expect((await post('/v1/auth/reset-password', { token, password: NEW_PASSWORD })).status).toBe(204)
  })

  it('leaves one good link, when several are written at once', async () => {
    const email = 'several@shop.example'
    await customer(email)
    for (let i = 0; i < 8; i += 1) await post('/v1/auth/forgot-password', { email })
    await shop.app.settle()
    await Promise.all(Array.from({ length: 8 }, () => shop.app.runJobs()))
    const resets = mailsTo(email).filter(({ headers }) => /^Set a new password/.test(headers.subject!))
    expect(resets).toHaveLength(8)
    const good = await sqlOf<{ n: number }>(
      shop,
      `select count(*)::int as n from users.links l join users.users u on u.id = l.user_id
       where purpose = 'reset-password' and used_at is null group by user_id having count(*) > 1`,
    )
    expect(good).toEqual([])
  })
})

describe('the language of letters', () => {
  it('is the one that the account chose last', async () => {
    const session = await customer('polyglot@shop.example')
    const change = (body: object) => shop.send('PATCH', '/v1/users/me', body, bearer(session))
    expect((await people.me(session)).body).toMatchObject({ locale: 'en', name: 'Ann Lee' })
    expect(await change({ locale: 'de' })).toMatchObject({ status: 200, body: { locale: 'de', name: 'Ann Lee' } })
    expect((await change({ locale: 'xx' })).status).toBe(422)
    expect((await change({})).status).toBe(422)
    expect(await change({ name: 'Anna' })).toMatchObject({ status: 200, body: { locale: 'de', name: 'Anna' } })
    const token = lastTo('polyglot@shop.example')
    expect((await post('/v1/auth/verify-email', { token, password: PASSWORD })).status).toBe(204)
    await post('/v1/auth/forgot-password', { email: 'polyglot@shop.example' })
    await runJobs()
    const last = mailsTo('polyglot@shop.example').at(-1)
    expect(last?.headers.subject).toMatch(/^Neues Passwort für/)
    expect(last?.text).toContain('Guten Tag Anna')
  })
})
